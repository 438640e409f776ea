"""Archives from package indexes. The one module that opens connections; it builds nothing and imports nothing fetched.

`pip download` would run the setup.py of a source archive before any digest is looked at, so the archive is found
with unearth and streamed to disk; nobody reads it before its size and its sha256 are those of the catalogue."""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.request import getproxies, proxy_bypass

from tailorbird import progress
from tailorbird.errors import FetchFailed
from tailorbird.store.catalogue import Archive
from tailorbird.store.files import beside, writing
from tailorbird.store.pip_config import PipSettings, pip_settings

if TYPE_CHECKING:
    from unearth.fetchers import Fetcher
    from unearth.fetchers.sync import PyPIClient
    from unearth.link import Link

_CHUNK_BYTES = 1 << 18
_HINT = "look where pip looks with `pip config list`, and name your index: export PIP_INDEX_URL=https://HOST/simple"


@contextmanager
def fetched(package: str, archive: Archive, folder: Path) -> Iterator[Path]:
    """The archive as a file in `folder`, its digest checked; it is gone when the block ends. Raises FetchFailed."""
    path = beside(folder / archive.file)
    try:
        _fetch(package, archive, path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fetch(package: str, archive: Archive, path: Path) -> None:
    settings = pip_settings()
    with _failing("pip's configuration cannot be used"):
        client = _client(settings)
    with client:
        link = _find(package, archive.file, settings, client)
        with _failing(f"cannot fetch {link.redacted}"):
            _download(client, link, archive, path)


def _client(settings: PipSettings) -> PyPIClient:
    """A client that trusts, proxies, signs in and waits as pip would."""
    from httpx2 import HTTPTransport
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers.sync import PyPIClient

    open_transports = {  # unearth's own for trusted hosts would go past the proxy
        f"all://{host}": HTTPTransport(verify=False, proxy=settings.proxy or _proxy(host))
        for host in settings.trusted_hosts
    }
    return PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        mounts=open_transports,
        verify=_authorities(settings),
        proxy=settings.proxy,
        timeout=settings.timeout_s,
        follow_redirects=True,
        auth=MultiDomainBasicAuth(prompting=False, index_urls=settings.index_urls),
    )


def _proxy(host: str) -> str | None:
    return None if proxy_bypass(host) else getproxies().get("https")


def _authorities(settings: PipSettings) -> ssl.SSLContext:
    try:
        place = Path(settings.cert) if settings.cert else None
        folder = str(place) if place and place.is_dir() else None
        context = ssl.create_default_context(cafile=None if folder else settings.cert, capath=folder)
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert)
    except OSError as error:  # SSLError too
        given = settings.client_cert or settings.cert
        raise FetchFailed(
            f"the certificate {given!r} of pip's configuration cannot be read: {error}", "pip config list"
        ) from error
    return context


def _find(package: str, file: str, settings: PipSettings, client: PyPIClient) -> Link:
    """The link to exactly this file, from the first place that has it. Raises FetchFailed that tells of each place."""
    reasons = []
    for location, is_index in settings.locations:
        try:
            with _failing(f"cannot ask {_redacted(location)}"), _warnings() as heard:
                for link in _links(package, location, is_index, client):
                    if link.filename == file:
                        return link
            reasons.append(heard[0] if heard else f"{_redacted(location)} does not have it")
        except FetchFailed as error:
            reasons.append(error.problem)
    asked = "; ".join(reasons) or "pip's configuration has no-index and no find-links"
    raise FetchFailed(f"{file} was not found: {asked}", _HINT)


def _links(package: str, location: str, is_index: bool, client: PyPIClient) -> list[Link]:
    from unearth import PackageFinder

    # The digest decides, so neither this machine's platform nor a yanked release matters.
    finder = PackageFinder(session=cast("Fetcher", client), ignore_compatibility=True)
    finder.sources = [{"url": location, "type": "index" if is_index else "find_links"}]
    return [found.link for found in finder.find_all_packages(package, allow_yanked=True)]


def _download(client: PyPIClient, link: Link, archive: Archive, path: Path) -> None:
    digest, size_bytes = hashlib.sha256(), 0
    with (
        client.get_stream(link.normalized) as response,
        progress.stage(f"fetch {archive.file}", archive.size_bytes) as advance,
    ):
        response.raise_for_status()
        with writing(path), path.open("xb") as file:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > archive.size_bytes:
                    raise _wrong(link, "size", f"{archive.size_bytes} bytes", "more")
                digest.update(chunk)
                file.write(chunk)
                advance(len(chunk))
    if digest.hexdigest() != archive.sha256:
        raise _wrong(link, "sha256", archive.sha256, f"{digest.hexdigest()} ({size_bytes} bytes)")


def _wrong(link: Link, what: str, wanted: str, got: str) -> FetchFailed:
    problem = f"{link.redacted} has the wrong {what}: wanted {wanted}, got {got}; nothing was kept"
    return FetchFailed(problem, "ask another index: export PIP_INDEX_URL=https://HOST/simple")


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Turn what the network does to us into FetchFailed."""
    from unearth.preparer import HTTPErrors

    try:
        yield
    except HTTPErrors as error:
        raise FetchFailed(f"{what}: {str(error) or type(error).__name__}", _HINT) from error
    except ValueError as error:  # unearth's word for a location that is neither a path nor an address
        raise FetchFailed(f"{what}: {error}", _HINT) from error


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What unearth would have logged on the way: why it passed over a page."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, ear = logging.getLogger("unearth.collector"), Ear(logging.WARNING)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(ear)
    try:
        yield heard
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagates


def _redacted(location: str) -> str:
    from unearth.link import Link

    return Link(location).redacted
