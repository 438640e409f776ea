"""pip's configuration, read in pip's order of precedence."""

import os
import sys
from pathlib import Path

import pytest

from tailorbird.errors import FetchFailed
from tailorbird.store.pip_config import default_index, pip_settings


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No pip configuration but what the test writes."""
    for name in [*filter(lambda name: name.startswith("PIP_"), os.environ), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]:
        monkeypatch.delenv(name, raising=False)
    for name, folder in {"HOME": "", "XDG_CONFIG_HOME": "user", "XDG_CONFIG_DIRS": "site"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr("configparser.RawConfigParser.read", _only_below(tmp_path))
    return tmp_path


def _only_below(folder: Path) -> object:
    """configparser's read, blind to the machine's own /etc/pip.conf."""
    from configparser import RawConfigParser

    read = RawConfigParser.read
    return lambda self, path, encoding: read(self, path if Path(path).is_relative_to(folder) else [], encoding)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_configuration_the_public_index_is_asked() -> None:
    settings = pip_settings()
    assert settings.index_urls == (default_index(),)
    assert (settings.find_links, settings.proxy, settings.cert, settings.timeout_s) == ((), None, None, 15)


def test_a_later_file_wins_and_the_environment_wins_over_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = ["site/pip/pip.conf", ".pip/pip.conf", "user/pip/pip.conf", "venv/pip.conf", "given.conf"]
    for i, place in enumerate(places[:4]):
        write(home / place, f"[global]\nindex-url = https://host{i}/simple\n")
        assert pip_settings().index_urls == (f"https://host{i}/simple",)
    write(home / places[4], "[global]\nindex-url = https://host4/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / places[4]))
    assert pip_settings().index_urls == ("https://host4/simple",)
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment/simple")
    assert pip_settings().index_urls == ("https://environment/simple",)
    monkeypatch.setenv("PIP_INDEX_URL", "")
    assert pip_settings().index_urls == ("https://host4/simple",)


def test_a_named_file_hides_the_users_and_the_null_device_hides_all(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / ".config" / "pip" / "pip.conf", "[global]\nproxy = http://user:1\n")
    write(home / "venv" / "pip.conf", "[global]\ntimeout = 3\n")
    write(home / "given.conf", "[global]\ncert = bundle.pem\n")
    assert pip_settings().proxy == "http://user:1"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / "given.conf"))
    assert (pip_settings().proxy, pip_settings().cert, pip_settings().timeout_s) == (None, "bundle.pem", 3)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert (pip_settings().cert, pip_settings().timeout_s) == (None, 15)


def test_the_section_of_download_wins_over_install_and_global(home: Path) -> None:
    write(home / "venv" / "pip.conf", "[download]\nproxy = http://d:1\n[install]\nproxy = http://i:1\ntimeout = 9\n")
    write(home / "user" / "pip" / "pip.conf", "[global]\nproxy = http://g:1\ntrusted_host = mirror\n  other:80\n")
    settings = pip_settings()
    assert (settings.proxy, settings.timeout_s, settings.trusted_hosts) == ("http://d:1", 9, ("mirror", "other:80"))


def test_lists_and_other_spellings_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a/simple  file:///b/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels https://c/wheels")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "7.5")
    monkeypatch.setenv("PIP_CLIENT_CERT", "me.pem")
    monkeypatch.setenv("PIP_PROXY", "me:secret@proxy:3128")
    settings = pip_settings()
    assert settings.proxy == "http://me:secret@proxy:3128"
    assert settings.index_urls == (default_index(), "https://a/simple", "file:///b/simple")
    assert (settings.timeout_s, settings.client_cert) == (7.5, "me.pem")
    assert [place for place, _ in settings.locations][:2] == ["/wheels", "file:///b/simple"]
    assert len(settings.locations) == 5


@pytest.mark.parametrize(("value", "n_indexes"), [("1", 0), ("yes", 0), ("on", 0), ("0", 1), ("false", 1)])
def test_no_index_means_none_at_all(monkeypatch: pytest.MonkeyPatch, value: str, n_indexes: int) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", value)
    assert len(pip_settings().index_urls) == n_indexes


@pytest.mark.parametrize(("name", "value"), [("PIP_NO_INDEX", "perhaps"), ("PIP_TIMEOUT", "soon")])
def test_a_value_that_pip_would_refuse_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(FetchFailed, match=value) as caught:
        pip_settings()
    assert caught.value.hint.startswith("pip config set global.")


@pytest.mark.parametrize("content", ["index-url = x\n", "[global\n", "[global]\nx"])
def test_a_broken_file_is_named(home: Path, content: str) -> None:
    write(home / "venv" / "pip.conf", content)
    with pytest.raises(FetchFailed, match=r"venv/pip\.conf"):
        pip_settings()
