"""The user's own pip configuration: which indexes to ask, and how. A company's mirror works as it does for pip."""

from __future__ import annotations

import configparser
import importlib.util
import locale
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

from tailorbird.errors import FetchFailed

_SECTIONS = ("global", "install", "download")  # a later one wins, and the environment wins over all
_ALIASES = {"pypi-url": "index-url", "default-timeout": "timeout"}
_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")


def default_index() -> str:
    """The index that pip itself asks where nothing is configured. Raises FetchFailed if pip is not installed."""
    if importlib.util.find_spec("pip") is None:
        raise FetchFailed(
            "no package index is configured, and pip is not installed to tell its own", "set PIP_INDEX_URL"
        )
    # Private to pip, and the same since pip 10: its default is its own to change, so it is not written down here.
    return str(importlib.import_module("pip._internal.models.index").PyPI.simple_url)


@dataclass(frozen=True)
class PipSettings:
    """What pip's configuration says about fetching."""

    index_urls: tuple[str, ...]  # empty with no-index
    find_links: tuple[str, ...]
    trusted_hosts: tuple[str, ...]
    proxy: str | None
    cert: str | None  # a bundle of authorities to trust
    client_cert: str | None
    timeout_s: float

    @property
    def locations(self) -> tuple[tuple[str, bool], ...]:
        """Places to look in, and whether each is an index; those on this machine come first, for they cost nothing."""
        found = [(place, False) for place in self.find_links] + [(url, True) for url in self.index_urls]
        return tuple(sorted(found, key=lambda place: "://" in place[0] and not place[0].startswith("file:")))


def pip_settings() -> PipSettings:
    """The settings of pip's files and PIP_* variables, in pip's order of precedence. Raises FetchFailed."""
    values = _values(os.environ)
    indexes = [values.get("index-url") or default_index(), *values.get("extra-index-url", "").split()]
    return PipSettings(
        index_urls=() if _flag(values, "no-index") else tuple(indexes),
        find_links=tuple(values.get("find-links", "").split()),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        proxy=_proxy(values.get("proxy")),
        cert=values.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"),
        client_cert=values.get("client-cert"),
        timeout_s=_number(values, "timeout", 15.0),  # pip's own default
    )


def _values(environ: Mapping[str, str]) -> dict[str, str]:
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for path in _files(environ):
        parser = _read(path)
        for name in filter(parser.has_section, _SECTIONS):
            sections[name].update(_normal(dict(parser.items(name))))
    given = {key[4:]: value for key, value in environ.items() if key.startswith("PIP_")}
    return {**sections["global"], **sections["install"], **sections["download"], **_normal(given)}


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """pip's files, later ones win: site-wide, the user's, the virtual environment's, PIP_CONFIG_FILE."""
    given = environ.get("PIP_CONFIG_FILE")
    if given == os.devnull:  # pip's way to say: none at all
        return
    dirs = PlatformDirs("pip", appauthor=False, roaming=True, multipath=True)
    yield from (Path(folder) / "pip.conf" for folder in [*dirs.site_config_dir.split(os.pathsep), "/etc"])
    if not (given and Path(given).exists()):
        yield Path.home() / ".pip" / "pip.conf"
        yield Path.home() / ".config" / "pip" / "pip.conf"
        yield Path(dirs.user_config_dir) / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if given:
        yield Path(given)


def _read(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding=locale.getpreferredencoding(False))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FetchFailed(
            f"pip's configuration file {str(path)!r} cannot be read: {reason}", "pip config debug"
        ) from error
    return parser


def _normal(items: Mapping[str, str]) -> dict[str, str]:
    """Keys as pip writes them on its command line; empty values do not count."""
    named = ((key.lower().replace("_", "-").removeprefix("--"), value.strip()) for key, value in items.items())
    return {_ALIASES.get(key, key): value for key, value in named if value}


def _proxy(given: str | None) -> str | None:
    """The address of the proxy; pip takes HOST:PORT too."""
    return f"http://{given}" if given and "://" not in given else given


def _flag(values: Mapping[str, str], key: str) -> bool:
    value = values.get(key, "no").lower()
    if value not in _TRUE + _FALSE:
        raise FetchFailed(f"pip's setting {key} is {value!r}, and must be yes or no", f"pip config set global.{key} no")
    return value in _TRUE


def _number(values: Mapping[str, str], key: str, default: float) -> float:
    try:
        return float(values.get(key, default))
    except ValueError as error:
        problem = f"pip's setting {key} is {values[key]!r}, and must be a number of seconds"
        raise FetchFailed(problem, f"pip config set global.{key} {default:g}") from error
