"""Bodies from a hub: pulled once, pinned, and then opened without ever asking again."""

import io
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in_hub
from stand_in_hub import Hub

import tailorbird as tb
from tailorbird.errors import BadBody, BadSpelling, FetchFailed
from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.store import files
from tailorbird.store.bodies import copy_body
from tailorbird.store.files import tensors
from tailorbird.store.tensors import read_tensors
from tailorbird.types import JSON, BodyFolder

WEIGHTS = tensors({"w": np.ones(100, np.float32)})
OTHER = tensors({"w": np.zeros(100, np.float32)})
CONFIG = {"model_type": "bert", "max_position_embeddings": 512}
NAME = "hf:Made/Bert"


def content(**jsons: JSON) -> dict[str, bytes]:
    """A text model's files, with these JSON files changed or added; None takes one away."""
    given: dict[str, JSON] = {"config": CONFIG, "tokenizer": {}, **jsons}
    made = {
        f"{name.replace('__', '/')}.json": json.dumps(one).encode() for name, one in given.items() if one is not None
    }
    return {**made, "model.safetensors": WEIGHTS, "README.md": b"# A model", "tf_model.h5": b"other weights"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", stand_in_hub.TOKEN)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between retries
    with stand_in_hub.serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


def opened(name: str = NAME) -> BodyFolder:
    return parse("source", name, Source).open()


def pulled(name: str = NAME) -> BodyFolder:
    return parse("source", name, Source).pull()


def left() -> list[str]:
    """Every file in the store."""
    home = files.home()
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


def test_a_pull_pins_the_commit_and_brings_only_what_is_needed(hub: Hub) -> None:
    commit = hub.publish("Made/Bert", content(sentence_bert_config={"max_seq_length": 128}, tokenizer_config={}))
    body = pulled()
    assert body.spelling == f"hf:Made/Bert@{commit}" and (body.architecture, body.modality) == (
        "transformers",
        "text:max_tokens=128",
    )
    brought = ["config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer.json"]
    assert sorted(path.name for path in body.folder.iterdir()) == ["body.json", *brought]
    assert sorted(set(hub.fetched())) == brought and hub.fetched()[-1] == "model.safetensors"
    place = f"bodies/hf/Made/Bert/{commit}"
    expected = [
        *(f"{place}/{name}" for name in ("body.json", *brought)),
        f"{place}.json",
        "bodies/hf/Made/Bert/refs/main",
    ]
    assert left() == sorted(expected)
    assert not any(path.is_symlink() for path in files.home().rglob("*"))


def test_the_card_says_what_hub_and_catalogue_know(hub: Hub) -> None:
    commit = hub.publish("Made/Bert", content())
    card = pulled().card
    assert (card["licence"], card["parameters"]) == ("mit", 12)
    assert card["source"] == f"{hub.address}/Made/Bert/tree/{commit}"


def test_an_opened_body_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.publish("Made/Bert", content(), "main", "v1/final")
    body = pulled()
    pulled(f"{NAME}@v1/final")
    assert hub.fetched().count("model.safetensors") == 1, "one commit under two names is one folder"

    def no_socket(*given: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket, "socket", no_socket)
    for name in (
        NAME,
        f"{NAME}@main",
        f"{NAME}@v1/final",
        f"{NAME}@{commit}",
        f"{NAME}@{commit[:7]}",
        body.spelling,
    ):
        assert opened(name) == body
    assert pulled(f"{NAME}@{commit[:12]}") == body


@pytest.mark.parametrize("name", [NAME, f"{NAME}@v2", f"{NAME}@0123456789", f"{NAME},pooling=cls"])
def test_a_body_that_was_never_pulled_says_what_to_type(hub: Hub, name: str) -> None:
    with pytest.raises(BadBody, match=r"hf:Made/Bert\S* is not pulled yet") as caught:
        opened(name)
    assert caught.value.hint == f"pull it first: tailorbird pull {name}"


def test_a_branch_that_moved_is_told_and_what_was_pinned_stays(hub: Hub, told: list[str]) -> None:
    first = hub.publish("Made/Bert", content())
    body = pulled()
    second = hub.publish("Made/Bert", content() | {"model.safetensors": OTHER})
    again = tb.pull(NAME)
    assert again.already and again.spelling == body.spelling == f"{NAME}@{first}"
    assert len(told) == 1 and f"the store keeps {first}" in told[0]
    hint = told[0].partition("tailorbird pull ")[2]
    assert hint == f"{NAME}@{second}"
    newer = pulled(hint)
    assert newer.spelling == hint and newer.fingerprint != body.fingerprint
    assert opened() == body, "the branch still means what it meant when it was pulled"
    with pytest.raises(BadBody, match=f"the store has hf:Made/Bert@.*{second}"):
        opened(f"{NAME}@v3")


def test_what_is_pinned_outlives_its_hub(hub: Hub, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish("Made/Bert", content())
    body = pulled()
    hub.revisions.clear()
    assert tb.pull(NAME).already and "is in the store; whether it is the newest is not known" in told[0]
    assert opened() == body


def test_a_damaged_body_is_mended_at_the_commit_that_was_pinned(hub: Hub) -> None:
    hub.publish("Made/Bert", content())
    body = pulled()
    hub.publish("Made/Bert", content() | {"model.safetensors": OTHER})
    (body.folder / "model.safetensors").write_bytes(OTHER)
    with pytest.raises(BadBody, match="is damaged") as caught:
        opened()
    assert caught.value.hint == f"tailorbird pull {body.spelling}"
    assert not tb.pull(NAME).already
    assert opened() == body
    (body.folder / "body.json").write_bytes(b"{}")
    with pytest.raises(BadBody, match="is damaged") as caught:
        opened()
    assert caught.value.hint == f"tailorbird pull {body.spelling}"
    assert pulled(caught.value.hint.removeprefix("tailorbird pull ")).fingerprint == body.fingerprint


@pytest.mark.parametrize("removed", [True, False], ids=["folder removed", "file damaged"])
def test_a_commit_that_gives_other_bytes_than_at_first_is_refused(hub: Hub, removed: bool) -> None:
    commit = hub.publish("Made/Bert", content())
    body = pulled()
    if removed:
        shutil.rmtree(body.folder)
    else:
        (body.folder / "config.json").write_bytes(b"damaged")
    hub.commits[commit] = content() | {"model.safetensors": OTHER}
    before = left()
    with pytest.raises(
        BadBody, match=r"'model\.safetensors' of hf:Made/Bert@\w+ had sha256 \w+ when it was first pulled"
    ) as caught:
        pulled()
    assert left() == before
    Path(caught.value.hint.partition("rm ")[2]).unlink()
    assert pulled().fingerprint != body.fingerprint


def test_pooling_can_be_chosen_for_what_is_pinned(hub: Hub, tmp_path: Path) -> None:
    hub.publish("Made/Bert", content())
    body, chosen = pulled(), opened(f"{NAME},pooling=cls")
    assert (body.settings, chosen.settings) == ({"pooling": "mean"}, {"pooling": "cls"})
    assert chosen.folder == body.folder and chosen.fingerprint != body.fingerprint
    assert opened(chosen.spelling) == chosen
    assert copy_body(chosen, tmp_path / "copy").fingerprint == chosen.fingerprint


def test_a_pooling_that_was_pulled_is_not_that_of_the_plain_name(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.publish("Made/Bert", content(**{"1_Pooling__config": {"pooling_mode_mean_tokens": True}}))
    chosen, plain = pulled(f"{NAME},pooling=cls"), opened()
    assert chosen.spelling == f"{NAME}@{commit},pooling=cls" and chosen.settings == {"pooling": "cls"}
    assert plain.spelling == f"{NAME}@{commit}" and plain.settings == {"pooling": "mean"}
    monkeypatch.setenv("TAILORBIRD_HOME", str(files.home() / "of another machine"))
    assert pulled(plain.spelling).fingerprint == plain.fingerprint
    assert pulled(chosen.spelling).fingerprint == chosen.fingerprint


def test_pooling_of_another_kind_is_refused_with_a_hint_that_works(hub: Hub) -> None:
    hub.publish("Made/Bert", content(**{"1_Pooling__config": {"pooling_mode_max_tokens": True}}))
    with pytest.raises(BadBody, match="pools its tokens by 'pooling_mode_max_tokens'") as caught:
        pulled()
    body = pulled(caught.value.hint.removeprefix("tailorbird pull "))
    assert body.settings == {"pooling": "mean"} and body.spelling.endswith(",pooling=mean"), "a pull that works too"
    assert opened().spelling == opened(body.spelling).spelling == body.spelling
    assert opened(f"{NAME},pooling=cls").spelling == body.spelling.replace("mean", "cls")


def shards(*listed: str) -> dict[str, bytes]:
    index = json.dumps({"weight_map": {f"w{i}": name for i, name in enumerate(listed)}}).encode()
    both = {f"model-0000{i}-of-00002.safetensors": tensors({f"w{i}": np.ones(60, np.float32)}) for i in (1, 2)}
    return {**content(), **both, "model.safetensors.index.json": index, "outside.safetensors": WEIGHTS}


def without_weights(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: one for name, one in files.items() if name != "model.safetensors"}


def test_weights_in_shards_are_brought(hub: Hub) -> None:
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    hub.publish("Made/Bert", without_weights(shards(*names)))
    assert sorted(path.name for path in pulled().folder.glob("*.safetensors")) == names


PICTURES: dict[str, dict[str, JSON]] = {
    "squares": {"config": {"model_type": "vit"}, "preprocessor_config": {"size": {"height": 2, "width": 3}}},
    "not understood": {"config": {"model_type": "vit"}, "preprocessor_config": {"size": 224, "image_mean": "grey"}},
}
REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "code": (content(config={**CONFIG, "auto_map": {"AutoModel": "m.M"}}), "auto_map in config.json"),
    "quantised": (content(config={**CONFIG, "quantization_config": {"bits": 4}}), "quantization_config in config.json"),
    "unknown": (content(config={"model_type": "whisper"}), "model_type 'whisper', which is not known here"),
    "no config": (content(config=None), "has no config.json"),
    "no JSON": (content() | {"config.json": b"<html>"}, "cannot be read"),
    "no tokenizer": (content(tokenizer=None), "reads texts and has no tokenizer.json"),
    "squares": (content(**PICTURES["squares"]), "only squares can be given"),
    "not understood": (content(**PICTURES["not understood"]), "says in a way that is not understood"),
}
NO_WEIGHTS: dict[str, tuple[dict[str, bytes], str]] = {
    "other weights": (without_weights(content()), "has no model.safetensors, and of other weights tf_model.h5"),
    "a shard elsewhere": (without_weights(shards("../outside.safetensors")), "which is not a file of it"),
    "a shard of another name": (without_weights(shards("outside.safetensors")), "which is not a file of it"),
    "a shard that is missing": (
        without_weights(shards("model-00003-of-00002.safetensors")),
        "which is not a file of it",
    ),
    "an index of nothing": (without_weights(shards()), "which is not a file of it"),
    "a header of 2^63 bytes": (content() | {"model.safetensors": b"\xff" * 300}, "header claims"),
}


@pytest.mark.parametrize("case", REFUSED | NO_WEIGHTS)
def test_what_cannot_be_a_body_is_refused_and_leaves_no_trace(hub: Hub, case: str) -> None:
    published, problem = (REFUSED | NO_WEIGHTS)[case]
    hub.publish("Made/Bert", published)
    with pytest.raises(BadBody) as caught:
        pulled()
    assert problem in caught.value.problem and caught.value.hint
    if case in REFUSED:
        assert not any(name.endswith(".safetensors") for name in hub.fetched()), "judged before weights are fetched"
        assert ".part" not in caught.value.problem or case == "no JSON"
    assert left() == []


def test_a_name_shows_in_the_problem_and_not_the_place_of_its_files(hub: Hub) -> None:
    hub.publish("Made/Bert", content(config={**CONFIG, "auto_map": {}}))
    with pytest.raises(BadBody, match=r"^hf:Made/Bert@main wants to run code of its own"):
        pulled(f"{NAME}@main")


@pytest.mark.parametrize("fault", ["cut", "more", "swapped", "page", "gone", "gated"])
def test_a_pull_that_fails_leaves_no_trace(hub: Hub, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    hub.publish("Made/Bert", content())
    match fault:
        case "cut" | "more":
            getattr(hub, fault).add("model.safetensors")
        case "swapped":
            hub.swapped["model.safetensors"] = OTHER
        case "page":
            hub.page = b"<html>"
        case "gone":
            hub.revisions.clear()
        case "gated":
            hub.gated = True
            monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(FetchFailed):
        pulled()
    assert left() == []


@pytest.mark.parametrize(
    "name",
    [
        "Made/Bert/Large",
        "Made/../Bert",
        "/Bert",
        "Made/",
        "@main",
        "Made/Bert@",
        "Made/Bert@../x",
        "a b",
        "Made/.hidden",
        "Made/Be..rt",
        "Made/Be--rt",
        "Made/Be..rt",
        "Made/Be--rt",
        "",
    ],
)
def test_an_id_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(BadSpelling) as caught:
        parse("source", f"hf:{name}", Source)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["bert-base-uncased", "Made/Bert", "Made/Bert_2.0-x@refs/pr/3", "a/b@v1.0"])
def test_ids_of_hubs_can_be_spelled(name: str) -> None:
    assert parse("source", f"hf:{name}", Source).spelling() == f"hf:{name}"


def pickled(**weights: Any) -> dict[str, bytes]:
    """A model with nothing but a PyTorch file."""
    import torch

    torch.save(weights, buffer := io.BytesIO())
    return without_weights(content()) | {"pytorch_model.bin": buffer.getvalue()}


def test_a_pickle_of_numbers_becomes_safetensors(hub: Hub) -> None:
    import torch

    tied = torch.ones(3)
    hub.publish("Made/Bert", pickled(w=tied, tied=tied, v=torch.zeros(2, 2)))
    folder = pulled().folder
    shapes = {name: array.shape for name, array in read_tensors(folder / "model.safetensors").items()}
    assert shapes == {"w": (3,), "tied": (3,), "v": (2, 2)}
    assert not (folder / "pytorch_model.bin").exists()


def test_a_pickle_that_is_refused_leaves_no_trace(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise BadBody(f"{source.name} was refused", "use another")

    monkeypatch.setattr("tailorbird.sources.hf.convert", refuse)
    hub.publish("Made/Bert", pickled(w=print))
    with pytest.raises(BadBody, match=r"pytorch_model\.bin was refused"):
        pulled()
    assert left() == []


@pytest.mark.parametrize(
    "arguments", [("pull", NAME), ("fit", "rows.csv", "--target", "y", "--out", "m", "--model", NAME)]
)
def test_the_command_line_ends_with_2_and_two_lines(tmp_path: Path, run_cli: Any, arguments: tuple[str, ...]) -> None:
    (tmp_path / "rows.csv").write_text("text,y\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(40)))
    result = run_cli(*arguments, check=False, HF_ENDPOINT="http://127.0.0.1:9")
    assert result.returncode == 2 and result.stdout == ""
    hint = "export HF_ENDPOINT=" if arguments[0] == "pull" else f"pull it first: tailorbird pull {NAME}"
    assert hint in result.stderr.splitlines()[-1]
