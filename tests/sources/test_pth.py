"""Weight files of PyTorch: only numbers come out, and nothing in them runs."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tailorbird.errors import BadBody, MissingExtra
from tailorbird.sources import _pth
from tailorbird.sources._pth import check_container, check_tensors, convert, read


def saved(path: Path, value: object, *, zipped: bool = True) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_out_as_they_were(tmp_path: Path, zipped: bool) -> None:
    tensors = OrderedDict(
        a=torch.randn(3, 4), b=torch.randn(4, 3, 2).permute(2, 0, 1), c=torch.tensor(5), d=torch.randn(2).half()
    )
    convert(saved(tmp_path / "w.pth", tensors, zipped=zipped), tmp_path / "w.safetensors")
    got = load_file(tmp_path / "w.safetensors")
    assert got.keys() == tensors.keys()
    assert all(torch.equal(got[name], tensors[name]) for name in tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth", "w.safetensors"]


# ---- gadgets: pickles that would run a command ----------------------------------------------------------------------


def call(module: str, name: str, *arguments: object) -> type:
    """A class whose pickle calls this function when it is loaded."""

    class Gadget:
        def __reduce__(self) -> tuple[object, ...]:
            found: object = __import__(module, fromlist=["x"])
            for part in name.split("."):
                found = getattr(found, part)
            return found, arguments

    return Gadget


def gadgets(flag: Path) -> dict[str, object]:
    """Thirteen ways to make the file `flag` by being unpickled."""
    touch, code = f"touch {flag}", f"open({str(flag)!r}, 'w').close()"
    return {
        "os.system": call("os", "system", touch)(),
        "os.popen": call("os", "popen", touch)(),
        "subprocess.Popen": call("subprocess", "Popen", ["touch", str(flag)])(),
        "subprocess.run": call("subprocess", "run", ["touch", str(flag)])(),
        "subprocess.check_output": call("subprocess", "check_output", ["touch", str(flag)])(),
        "eval": call("builtins", "eval", code)(),
        "exec": call("builtins", "exec", code)(),
        "open": call("builtins", "open", str(flag), "w")(),
        "pty.spawn": call("pty", "spawn", ["touch", str(flag)])(),
        "runpy": call("runpy", "run_path", str(flag.with_name("code.py")))(),
        "pathlib.write_text": call("pathlib", "Path.touch", flag)(),
        "timeit": call("timeit", "timeit", code, "pass", __import__("timeit").default_timer, 1)(),
        "pickle.loads": call("pickle", "loads", pickle.dumps(call("os", "system", touch)()))(),
    }


WRAPPED: dict[str, Callable[[Path, object], object]] = {
    "zip": lambda path, gadget: saved(path, {"w": torch.zeros(2), "x": gadget}),
    "legacy": lambda path, gadget: saved(path, {"w": torch.zeros(2), "x": gadget}, zipped=False),
    "bare": lambda path, gadget: path.write_bytes(pickle.dumps(gadget, protocol=2)),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_no_gadget_in_any_container_runs(tmp_path: Path, kind: str) -> None:
    flag = tmp_path / "flag"
    (tmp_path / "code.py").write_text(f"open({str(flag)!r}, 'w').close()")
    for name, gadget in gadgets(flag).items():
        WRAPPED[kind](tmp_path / "bad.pth", gadget)
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            read(tmp_path / "bad.pth")
        assert not flag.exists(), name


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a gadget closes no files
def test_the_gadgets_are_real(tmp_path: Path) -> None:
    """The control: without weights_only they do run."""
    fired = []
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'flag')!r}, 'w').close()")
    for name, gadget in gadgets(flag := tmp_path / "flag").items():
        if name in ("pty.spawn", "os.popen", "subprocess.Popen"):
            continue  # they would write later, or to the terminal
        loaded = io.BytesIO(pickle.dumps(gadget))
        pickle.load(loaded)
        fired.append(flag.exists())
        flag.unlink(missing_ok=True)
    assert all(fired) and len(fired) == 10


def test_a_refused_file_names_itself_and_leaves_nothing(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    saved(tmp_path / "bad.pth", gadgets(flag)["os.system"])
    with pytest.raises(BadBody, match=r"bad\.pth was refused") as caught:
        convert(tmp_path / "bad.pth", tmp_path / "out")
    assert "safetensors" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


# ---- containers and tensors that lie --------------------------------------------------------------------------------


def test_a_compressed_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    plain, bomb = saved(tmp_path / "plain.pth", {"w": torch.zeros(8)}), tmp_path / "bomb.pth"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            big = info.filename.endswith("data/0")
            with target.open(info.filename, "w") as file:
                for _ in range(300 if big else 1):
                    file.write(b"\0" * (1 << 20) if big else source.read(info))
    assert bomb.stat().st_size < 1_000_000
    # In a process of its own, whose only child is the one that reads the file.
    done = limited(
        f"try: _pth.convert(Path({str(bomb)!r}), Path({str(tmp_path / 'out')!r}))\n"
        "except _pth.BadBody as error: print(error.problem)\n"
        "import resource; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    problem, peak_kb = done.stdout.splitlines()
    assert "compressed" in problem, done.stderr
    assert 50_000 < int(peak_kb) < 500_000  # torch itself takes 250,000, and what is packed 300,000 more


def test_a_zip_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"w": torch.zeros(8)})
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # the directory's entry of the last member: its size lies at 24
    content[place + 24 : place + 28] = struct.pack("<I", 1 << 30)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="claims more"):
        check_container(path)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("stride 0", lambda: {"w": torch.zeros(1).expand(10**6)}),
        ("overlap", lambda: {"w": torch.zeros(10).as_strided((5, 5), (1, 1))}),
        ("overlap of the right size", lambda: {"w": torch.zeros(4).as_strided((2, 2), (1, 1))}),
        ("part of a storage", lambda: {"w": torch.zeros(10)[:5]}),
        ("step", lambda: {"w": torch.zeros(10)[::2]}),
        ("sparse", lambda: {"w": torch.eye(3).to_sparse()}),
        ("sparse rows", lambda: {"w": torch.eye(3).to_sparse_csr()}),
        ("quantized", lambda: {"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}),
        ("meta", lambda: {"w": torch.zeros(3, device="meta")}),
        ("nested", lambda: {"w": {"v": torch.zeros(3)}}),
        ("number", lambda: {"w": 3}),
        ("name", lambda: {3: torch.zeros(3)}),
        ("list", lambda: [torch.zeros(3)]),
        ("nothing", dict),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch calls sparse rows a beta and quantized tensors old
def test_only_dense_tensors_with_names_pass(name: str, made: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"it holds|its entry|its tensor"):
        check_tensors(made())


def test_a_stride_0_file_is_refused_whole(tmp_path: Path) -> None:
    saved(tmp_path / "w.pth", {"w": torch.zeros(1).expand(10**12)})
    assert (tmp_path / "w.pth").stat().st_size < 2000
    with pytest.raises(BadBody, match="does not match its storage"):
        convert(tmp_path / "w.pth", tmp_path / "out")


# ---- the limited process --------------------------------------------------------------------------------------------


def limited(code: str) -> subprocess.CompletedProcess[str]:
    opening = "from pathlib import Path; from tailorbird.sources import _pth\n"
    return subprocess.run([sys.executable, "-c", opening + code], capture_output=True, text=True, check=False)


def test_the_process_can_take_no_more_memory_time_or_disk_than_weights_need(tmp_path: Path) -> None:
    done = limited(
        "import resource; _pth.limit(1000)\n"
        "caps = [resource.getrlimit(what) for what in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)]\n"
        "assert caps == [(_pth.SECONDS,) * 2, (2000 + (1 << 20),) * 2], caps\n"
        "try: bytearray(1 << 30)\n"
        "except MemoryError: print('no more')\n"
        f"try: Path({str(tmp_path / 'x')!r}).write_bytes(bytes(4 << 20))\n"
        "except OSError as error: print(error.strerror)"
    )
    assert done.stdout.splitlines() == ["no more", "File too large"], done.stderr


def test_the_process_has_no_network() -> None:
    done = limited(
        "_pth.close_network(); import socket\n"
        "for make in (socket.socket, lambda: socket.create_connection(('127.0.0.1', 9))):\n"
        "    try: make()\n"
        "    except OSError as error: print(error)"
    )
    assert done.stdout.splitlines() == ["weights do not need a network"] * 2, done.stderr


def test_a_process_that_is_killed_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*given: object, **named: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["sh", "-c", "kill -9 $$"], capture_output=True, check=False)

    saved(tmp_path / "w.pth", {"w": torch.zeros(3)})
    monkeypatch.setattr(_pth, "_run", killed)
    with pytest.raises(BadBody, match="signal 9"):
        convert(tmp_path / "w.pth", tmp_path / "out")


def test_a_process_that_takes_too_long_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "w.pth", {"w": torch.zeros(3)})
    monkeypatch.setattr(_pth, "SECONDS", 0.01)
    with pytest.raises(BadBody, match="seconds"):
        convert(tmp_path / "w.pth", tmp_path / "out")


def test_a_torch_that_lies_in_the_users_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text(f"open({str(tmp_path / 'flag')!r}, 'w').close()")
    saved(tmp_path / "w.pth", {"w": torch.zeros(3)})
    monkeypatch.chdir(tmp_path)
    convert(tmp_path / "w.pth", tmp_path / "out")
    assert not (tmp_path / "flag").exists()


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        convert(tmp_path / "w.pth", tmp_path / "out")
    assert "tailorbird[train]" in caught.value.hint and not (tmp_path / "out").exists()
