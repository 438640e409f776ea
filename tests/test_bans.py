"""What may stand nowhere in the package: code that runs what it reads, connections, and faults passed in silence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tailorbird"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

LOADER = "sources/_pth.py"  # reads foreign pickles, in a limited process
FETCHERS = ("store/fetch.py", "store/hub.py", LOADER)  # may know the network: two open connections, one blocks them
RUNS_WHAT_IT_READS = ("pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve")
OPENS_CONNECTIONS = (
    *("socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "httpx2", "aiohttp", "websockets"),
    *("unearth", "huggingface_hub", "ftplib", "smtplib", "telnetlib", "xmlrpc"),
)
NEVER_CALLED = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "runs text as code"),
    **dict.fromkeys(("builtins.eval", "builtins.exec", "builtins.compile"), "runs text as code"),
    **dict.fromkeys(("os.system", "os.popen"), "goes through a shell"),
    **dict.fromkeys(("yaml.load", "torch.export.load", "torch.jit.load", "torch.hub.load"), "runs what it reads"),
}
# The random module's own state is everybody's: a seed given elsewhere, or forgotten, changes the result.
SEEDED = ("random.Random", "random.SystemRandom", "numpy.random.default_rng", "numpy.random.Generator")
SEEDED += ("numpy.random.SeedSequence", "numpy.random.PCG64", "numpy.random.Philox")
TORCH_RANDOM = ("manual_seed", "seed", "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial")


def faults(code: str, file: str) -> list[str]:
    """Every ban that this code breaks, with its line."""
    tree = ast.parse(code)
    names = _aliases(tree)
    return [f"{file}:{line}: {fault}" for node in ast.walk(tree) for line, fault in _faults(node, names, file)]


def _aliases(tree: ast.AST) -> dict[str, str]:
    """What each imported name means, dotted: {"np": "numpy", "load": "torch.load"}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom):
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return found


def _faults(node: ast.AST, names: dict[str, str], file: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((node.lineno, fault) for fault in _import_faults(node, file))
    if isinstance(node, ast.Call):
        yield from ((node.lineno, fault) for fault in _call_faults(node, _dotted(node.func, names), file))
    if isinstance(node, ast.ExceptHandler):
        yield from ((node.lineno, fault) for fault in _except_faults(node, file))


def _import_faults(node: ast.Import | ast.ImportFrom, file: str) -> Iterator[str]:
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    imported = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
    for name in imported:
        top = name.partition(".")[0]
        if top in RUNS_WHAT_IT_READS:
            yield f"{top} runs what it reads"
        if top in OPENS_CONNECTIONS and not name.startswith("urllib.parse") and file not in FETCHERS:
            yield f"{top} opens connections, which only {' and '.join(FETCHERS[:2])} may"
        if name.endswith(".*"):
            yield "a star import hides where names come from"


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def _call_faults(node: ast.Call, name: str, file: str) -> Iterator[str]:
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in NEVER_CALLED:
        yield f"{name} {NEVER_CALLED[name]}"
    if name.endswith((".extractall", ".extract")):
        yield f"{name} writes where the archive says; read members one by one"
    if name == "torch.load":
        if file != LOADER:
            yield f"torch.load belongs into {LOADER}"
        if not _is(given.get("weights_only"), True):
            yield "torch.load without weights_only=True runs what it reads"
    if name == "numpy.load" and "allow_pickle" in given and not _is(given["allow_pickle"], False):
        yield "numpy.load with allow_pickle runs what it reads"
    for keyword in ("trust_remote_code", "shell"):
        if keyword in given and not _is(given[keyword], False):
            yield f"{keyword} is not False"
    yield from _random_faults(name, given)


def _random_faults(name: str, given: dict[str | None, ast.expr]) -> Iterator[str]:
    module, _, last = name.rpartition(".")
    shared = module in ("random", "numpy.random") and name not in SEEDED
    unseeded = module == "torch" and last in TORCH_RANDOM and "generator" not in given
    if shared or unseeded:
        yield f"{name} draws from a state that everybody shares; take a generator"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _except_faults(node: ast.ExceptHandler, file: str) -> Iterator[str]:
    caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"everything"}
    silent = all(isinstance(line, ast.Pass | ast.Continue) or _is_ellipsis(line) for line in node.body)
    if not node.type:
        yield "a bare except catches Ctrl-C too"
    elif caught & {"Exception", "BaseException"} and silent:
        yield "a fault is passed in silence"
    if caught & {"ImportError", "ModuleNotFoundError"} and file != "plug.py":
        yield "plug.py has the only `except ImportError`"


def _is_ellipsis(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and line.value.value is ...


@pytest.mark.parametrize("file", FILES)
def test_the_package_breaks_no_ban(file: str) -> None:
    assert faults((PACKAGE / file).read_text(encoding="utf-8"), file) == []


BROKEN = [
    "import pickle",
    "from joblib import load",
    "import torch.utils.data, shelve",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "import builtins\nbuiltins.eval('1')",
    "AutoModel.from_pretrained('x', trust_remote_code=True)",
    "import yaml\nyaml.load(file)",
    "from yaml import load as read\nread(file)",
    "import numpy as np\nnp.load('x', allow_pickle=True)",
    "import numpy as np\nnp.load('x', allow_pickle=flag)",
    "import torch\ntorch.load('x', weights_only=True)",
    "import torch\ntorch.export.load('x')",
    "from torch.export import load\nload('x')",
    "archive.extractall('x')",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "import os\nos.system('ls')",
    "try:\n    import x\nexcept ImportError:\n    x = None",
    "try:\n    import x\nexcept (ValueError, ModuleNotFoundError) as error:\n    raise",
    "try:\n    f()\nexcept:\n    g()",
    "try:\n    f()\nexcept Exception:\n    pass",
    "for x in y:\n    try:\n        f()\n    except BaseException:\n        continue",
    "import random\nrandom.random()",
    "from random import shuffle\nshuffle(x)",
    "import numpy as np\nnp.random.rand(3)",
    "import torch\ntorch.manual_seed(0)",
    "import torch\ntorch.randperm(3)",
    "from os import *",
    "import socket",
    "from urllib.request import urlopen",
    "import http.client",
    "from unearth import PackageFinder",
]
FINE = [
    "import re\nre.compile('x')",
    "model.eval()",
    "import numpy as np\nnp.random.default_rng(0).random(3)\nnp.load('x', allow_pickle=False)",
    "import torch\ntorch.randperm(3, generator=g)",
    "import random\nrandom.Random(0).shuffle(x)",
    "try:\n    f()\nexcept OSError:\n    pass",
    "try:\n    f()\nexcept Exception as error:\n    raise BadData('x', 'y') from error",
    "from urllib.parse import quote",
]


@pytest.mark.parametrize("code", BROKEN)
def test_each_ban_bites(code: str) -> None:
    assert len(faults(code, "engine/learn.py")) == 1


@pytest.mark.parametrize("code", FINE)
def test_what_only_looks_like_it_is_allowed(code: str) -> None:
    assert faults(code, "engine/learn.py") == []


def test_the_one_loader_must_still_say_weights_only() -> None:
    code = "import torch\ntorch.load('x'{})"
    assert faults(code.format(", weights_only=True"), LOADER) == []
    assert len(faults(code.format(", weights_only=False"), LOADER)) == 1
    assert len(faults(code.format(""), LOADER)) == 1
