"""What every test starts from: an empty store, a quiet environment, and no network (tests/offline/)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tailorbird import progress
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method, Source
from tailorbird.plug import parse
from tailorbird.store.bodies import write_body
from tailorbird.types import BodyFolder

pytest_plugins = ["network_watch"]  # in tests/offline, which pyproject.toml puts on the path

ROOT = Path(__file__).parent.parent
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it
# Of the shell that the tests are run from. ORT_: a developer's own opt-out must not hide that the package forgot it.
_LEFTOVERS = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "ORT_", "TAILORBIRD_HOME")

for _name in [name for name in os.environ if name.startswith(_LEFTOVERS)]:
    del os.environ[_name]

Result = subprocess.CompletedProcess[str]
RunCli = Callable[..., Result]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Acceptance tests come first: they take longest, so the other worker fills the time with unit tests."""
    items.sort(key=lambda item: item.get_closest_marker("acceptance") is None)


@pytest.fixture(scope="session", autouse=True)
def _no_store_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What fixtures of a module start without naming a store must not fill the user's own."""
    os.environ["TAILORBIRD_HOME"] = str(tmp_path_factory.mktemp("home-of-fixtures"))


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh store for each test, and plain text of one width from whatever it starts."""
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(scope="session")
def real_home() -> Path:
    """The store with the real bodies and data that `make test` pulled, for acceptance tests."""
    home = ROOT / ".cache" / "tailorbird"
    if not (home / "bodies").is_dir():
        pytest.fail(f"the real bodies are not in {home}; run: make test", pytrace=False)
    return home


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder with the four .gz files of Fashion-MNIST."""
    given = os.environ.get("FASHION_MNIST")
    folders = [Path(given).absolute()] if given else [FASHION_MNIST, ROOT / ".cache" / "fashion-mnist"]
    found = next((folder for folder in folders if (folder / "t10k-images-idx3-ubyte.gz").is_file()), None)
    if found is None:
        pytest.fail(f"Fashion-MNIST is not in {' or '.join(map(str, folders))}; run: make test", pytrace=False)
    return found


@pytest.fixture
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> BodyFolder:
    """Three layers of random weights that read the toy's tokens."""
    import torch
    from transformers import BertConfig, BertModel

    toy = parse("source", "toy:text", Source).open()
    folder = tmp_path_factory.mktemp("bert") / "body"
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=80, **sizes), add_pooling_layer=False).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((toy.folder / "tokenizer.json").read_bytes())
    made = {"spelling": "toy:bert", "architecture": "transformers", "modality": "text:max_tokens=32"}
    return write_body(folder, **made, settings={}, card={"title": "tiny"})


@pytest.fixture(scope="session")
def spelled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`spelled("distill", "softmax", ("a", "b"))`: the method, with what it cannot do without: a teacher, of chance."""
    teachers: dict[tuple[str, ...], Path] = {}

    def spell(method: str, link: str = "softmax", labels: Sequence[str] = ("a", "b")) -> str:
        if method != "distill":
            return method
        if (link, *labels) not in teachers:
            teachers[link, *labels] = _teacher(tmp_path_factory.mktemp("teacher"), link, labels)
        return f"distill:{teachers[link, *labels]}"

    return spell


def _teacher(folder: Path, link: str, labels: Sequence[str]) -> Path:
    """A model that has learned nothing: its labels were drawn."""
    from tailorbird import fit

    rng = random.Random(0)
    told = {
        "softmax": lambda i: labels[i % len(labels)],
        "sigmoid": lambda i: "|".join({labels[i % len(labels)], rng.choice(labels)}),
        "identity": lambda i: rng.gauss(1000, 50),
    }[link]
    rows = [f"{rng.choice(('road', 'river', 'house'))} number {i},{told(i)}" for i in range(60)]
    (folder / "rows.csv").write_text("\n".join(["text,target", *rows]), encoding="utf-8")
    task = {"softmax": "classify", "sigmoid": "multilabel", "identity": "regress"}[link]
    given = {"model": "toy:text", "method": "probe:last", "runtime": "torch", "threads": 1, "device": "cpu"}
    fit(folder / "rows.csv", target="target", task=task, out=folder / "model", **given)
    return folder / "model"


@pytest.fixture
def suited(tiny_bert: BodyFolder, spelled: Callable[..., str]) -> Callable[[str], BodyFolder]:
    """`suited("lora")`: a small body that this method can tailor: the toy, or one with linear layers and biases."""

    def find(method: str) -> BodyFolder:
        toy = parse("source", "toy:text", Source).open()
        try:
            parse("method", spelled(method), Method).check(toy)
        except BadSpelling:
            return tiny_bert
        return toy

    return find


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What a user was told."""
    lines: list[str] = []

    class Ear:
        def start(self, name: str, total: int) -> progress.Advance:
            return lambda n: None

        def stop(self) -> None:
            pass

        def tell(self, message: str) -> None:
            lines.append(message)

    with progress.listening(Ear()):
        yield lines


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """`run_cli("fit", path, "--json")` runs the command line in a child process and gives what it left.

    home: its store, else the test's own; check: fail unless it ends with 0; cwd: else the test's tmp_path."""

    def run(
        *arguments: str | Path,
        home: Path | None = None,
        check: bool = True,
        cwd: Path = tmp_path,
        timeout_s: float = 600,
        **environment: str,
    ) -> Result:
        command = [sys.executable, "-m", "tailorbird", *map(str, arguments)]
        store = {"TAILORBIRD_HOME": str(home)} if home else {}
        result = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **store, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
        )
        assert not check or result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stderr}"
        return result

    return run


@pytest.fixture(scope="session")
def moods() -> Callable[[Path, int], Path]:
    """`moods(path, n)`: a table of n made sentences of two kinds, columns text and mood."""

    def write(path: Path, n: int) -> Path:
        rng = random.Random(0)
        words = {"pos": ("warm", "bright", "kind"), "neg": ("dull", "cold", "grim")}
        told = [("pos", "neg")[i % 2] for i in range(n)]
        lines = [f"{rng.choice(words[one])} {rng.choice(words['pos'])} number {i},{one}" for i, one in enumerate(told)]
        path.write_text("\n".join(["text,mood", *lines]), encoding="utf-8")
        return path

    return write
