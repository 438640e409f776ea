"""Model folders in the style of Hugging Face."""

import json
from pathlib import Path

import numpy as np
import pytest

from tailorbird.errors import BadBody
from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.sources.folder import Folder
from tailorbird.store.bodies import copy_body, open_body
from tailorbird.store.files import tensors
from tailorbird.types import JSON, BodyFolder

WEIGHTS = tensors({"w": np.ones(3, np.float32)})


def write(folder: Path, **jsons: JSON) -> Path:
    """A model folder with weights and these JSON files."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    for name, content in jsons.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def text(folder: Path, **jsons: JSON) -> Path:
    return write(folder, **{"config": {"model_type": "bert", "max_position_embeddings": 512}, "tokenizer": {}, **jsons})


def image(folder: Path, model_type: str = "vit", **preprocessor: JSON) -> Path:
    given = {"size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 2}
    return write(folder, config={"model_type": model_type}, preprocessor_config={**given, **preprocessor})


def opened(folder: Path, pieces: str = "") -> BodyFolder:
    return parse("source", f"folder:{folder}{pieces}", Source).open()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def test_a_text_folder_opens_in_place(folder: Path) -> None:
    body = opened(text(folder))
    assert body.folder == folder and body.spelling == f"folder:{folder}"
    assert (body.architecture, body.modality) == ("transformers", "text:max_tokens=256")
    assert body.settings == {"pooling": "mean"}
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_the_fingerprint_follows_the_files_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    first = opened(text(folder)).fingerprint
    assert opened(text(tmp_path / "other")).fingerprint == first
    (folder / "README.md").write_text("not part of the body")
    assert opened(folder).fingerprint == first
    (folder / "tokenizer.json").write_text("[]")
    assert opened(folder).fingerprint != first


def test_a_relative_path_is_remembered_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(text(folder).parent)
    assert opened(Path("model")).spelling == f"folder:{folder}"


def test_files_of_sentence_transformers_tell_pooling_and_length(folder: Path) -> None:
    modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": 3}
    body = opened(text(folder, sentence_bert_config={"max_seq_length": 384}, **{"1_Pooling__config": modes}))
    assert (body.modality, body.settings) == ("text:max_tokens=384", {"pooling": "cls"})
    chosen = opened(folder, ",pooling=mean")
    assert chosen.settings == {"pooling": "mean"} and chosen.spelling == f"folder:{folder},pooling=mean"


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"model_type": "bert", "max_position_embeddings": 128}, 128),
        ({"model_type": "roberta", "max_position_embeddings": 130}, 128),  # counted from behind the padding, number 1
        ({"model_type": "mpnet", "max_position_embeddings": 130, "pad_token_id": 1}, 128),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 130, "pad_token_id": 0}, 129),
        ({"model_type": "deberta-v2", "max_position_embeddings": 128}, 128),
    ],
)
def test_short_models_are_not_given_more_than_they_read(folder: Path, config: JSON, most: int) -> None:
    assert opened(text(folder, config=config)).modality == f"text:max_tokens={most}"
    told = {"max_seq_length": 130}
    assert opened(text(folder, config=config, sentence_bert_config=told)).modality == f"text:max_tokens={most}"


@pytest.mark.parametrize(
    ("model_type", "given", "modality"),
    [
        ("vit", {}, "image:size=224,crop=1,resample=bilinear"),
        ("vit", {"size": 384, "resample": 3}, "image:size=384,crop=1,resample=bicubic"),
        ("dinov2", {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
         "image:size=224,crop=0.875,resample=bilinear"),
        ("convnext", {"size": {"shortest_edge": 224}, "crop_pct": 0.9}, "image:size=224,crop=0.9,resample=bilinear"),
        ("convnext", {"size": {"shortest_edge": 384}, "crop_pct": 0.875}, "image:size=384,crop=1,resample=bilinear"),
        ("resnet", {"size": 224, "feature_extractor_type": "ConvNextFeatureExtractor"},
         "image:size=224,crop=0.875,resample=bilinear"),
        ("mobilenet_v2", {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224, "resample": 2},
         "image:size=224,crop=0.875,resample=bilinear"),
        ("efficientnet", {"size": 300, "crop_size": 289, "do_center_crop": False, "resample": 0},
         "image:size=288,crop=1,resample=bicubic"),
        ("swin", {"size": 192, "resample": 3}, "image:size=192,crop=1,resample=bicubic"),
    ],
)  # fmt: skip
def test_a_picture_folder_tells_size_crop_and_resampling(
    folder: Path, model_type: str, given: dict[str, JSON], modality: str
) -> None:
    assert opened(image(folder, model_type, **given)).modality == modality


def test_pixels_are_normalised_on_the_scale_of_bytes(folder: Path) -> None:
    settings = opened(image(folder)).settings
    assert settings == {"pooling": "cls", "pixel_mean": [127.5] * 3, "pixel_std": [63.75] * 3}
    assert opened(image(folder, "resnet")).settings["pooling"] == "mean"
    bare = opened(image(folder, do_normalize=False)).settings
    assert (bare["pixel_mean"], bare["pixel_std"]) == ([0.0] * 3, [255.0] * 3)
    whole = opened(image(folder, do_rescale=False, image_mean=[127] * 3, image_std=[128] * 3)).settings
    assert (whole["pixel_mean"], whole["pixel_std"]) == ([127] * 3, [128] * 3)


@pytest.mark.parametrize("settings", [{}, {"rescale_offset": True}, {"include_top": False}])
def test_pixels_of_efficientnet_are_scaled_as_its_own_preprocessing_does(folder: Path, settings: JSON) -> None:
    from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil

    given = {"size": {"height": 32, "width": 32}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.47, 0.48, 0.49]}
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    theirs = EfficientNetImageProcessorPil(**given, **settings)(pixels, return_tensors="np")["pixel_values"][0]
    ours = opened(image(folder, "efficientnet", **given, **settings)).settings
    scaled = (pixels - np.array(ours["pixel_mean"])) / np.array(ours["pixel_std"])
    np.testing.assert_allclose(scaled.transpose(2, 0, 1), theirs, atol=1e-5)


def shards(folder: Path, names: list[str]) -> Path:
    text(folder, **{"model.safetensors.index": {"weight_map": {f"w{i}": name for i, name in enumerate(names)}}})
    (folder / "model.safetensors").unlink()
    (folder / "model-00001-of-00002.safetensors").write_bytes(WEIGHTS)
    (folder / "model-00002-of-00002.safetensors").write_bytes(WEIGHTS)
    return folder


def test_weights_in_shards_open_and_are_copied(folder: Path, tmp_path: Path) -> None:
    body = opened(shards(folder, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]))
    copy = copy_body(body, tmp_path / "copy")
    assert copy.fingerprint == body.fingerprint == open_body(copy.folder).fingerprint
    assert len(list(copy.folder.glob("model-*"))) == 2


@pytest.mark.parametrize(
    "name", ["model-00003-of-00002.safetensors", "../x.safetensors", "/etc/passwd", "config.json/"]
)
def test_a_shard_that_is_missing_or_elsewhere_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(BadBody, match="has no such file"):
        opened(shards(folder, ["model-00001-of-00002.safetensors", name]))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_pickled_weights_are_refused_unopened(folder: Path, name: str) -> None:
    (text(folder) / "model.safetensors").rename(folder / name)
    (folder / name).chmod(0)
    with pytest.raises(BadBody, match=f"only pickled weights, '{name}'") as caught:
        opened(folder)
    assert "model.safetensors" in caught.value.hint


REFUSED: dict[str, tuple[dict[str, JSON], str]] = {
    "auto_map": ({"config": {"model_type": "bert", "auto_map": {"AutoModel": "m.M"}}}, "auto_map in config.json"),
    "quantised": ({"config": {"model_type": "bert", "quantization_config": {"bits": 8}}}, "quantised weights"),
    "unknown": ({"config": {"model_type": "timesformer"}}, "model_type 'timesformer', which is not known here"),
    "none": ({"config": {}}, "model_type None"),
    "list": ({"config": []}, "no JSON object"),
    "pooling": ({"1_Pooling__config": {"pooling_mode_max_tokens": True}}, "pools its tokens by 'pooling_mode_max_"),
    "size": ({"config": {"model_type": "vit"}, "preprocessor_config": {"size": {"height": 2, "width": 3}}}, "squares"),
    "odd size": ({"config": {"model_type": "vit"}, "preprocessor_config": {"size": 518}}, "cannot be given"),
    "no preprocessor": ({"config": {"model_type": "vit"}}, "no preprocessor_config.json"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_body_is_refused_with_the_reason(folder: Path, case: str) -> None:
    jsons, problem = REFUSED[case]
    with pytest.raises(BadBody) as caught:
        opened(text(folder, **jsons))
    assert problem in caught.value.problem and caught.value.hint


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("config.json", "no config.json"),
        ("tokenizer.json", "no tokenizer.json"),
        ("model.safetensors", "no model.safe"),
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str, problem: str) -> None:
    (text(folder) / name).unlink()
    with pytest.raises(BadBody, match=problem):
        opened(folder)


def test_a_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(BadBody, match="there is no folder") as caught:
        opened(folder)
    assert "name where it lies now" in caught.value.hint and "--model folder:PATH" in caught.value.hint


@pytest.mark.parametrize("name", ["a,b", "pooling=cls", "a\\,b\\", " x "])
def test_any_folder_can_be_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text(tmp_path / name)
    spelling = Folder(path=tmp_path / name).spelling()
    body = parse("source", spelling, Source).open()
    assert body.folder == tmp_path / name and body.spelling == spelling
    monkeypatch.chdir(tmp_path)
    assert parse("source", Folder(path=Path(name)).spelling(), Source).open() == body


def test_the_hint_for_odd_pooling_can_be_typed(tmp_path: Path) -> None:
    text(tmp_path / "a,b", **{"1_Pooling__config": {"pooling_mode_max_tokens": True}})
    with pytest.raises(BadBody) as caught:
        parse("source", Folder(path=tmp_path / "a,b").spelling(), Source).open()
    chosen = parse("source", caught.value.hint.removeprefix("--model "), Source).open()
    assert chosen.settings == {"pooling": "mean"}


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b"[1]"])
def test_a_broken_config_is_named(folder: Path, content: bytes) -> None:
    (text(folder) / "config.json").write_bytes(content)
    with pytest.raises(BadBody, match=r"config\.json"):
        opened(folder)


def test_a_header_that_claims_too_much_is_refused(folder: Path) -> None:
    (text(folder) / "model.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    with pytest.raises(BadBody, match="header claims"):
        opened(folder)


def test_links_are_followed_as_in_the_cache_of_the_hub(folder: Path, tmp_path: Path) -> None:
    (text(folder) / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    body = opened(folder)
    assert not (copy_body(body, tmp_path / "copy").folder / "model.safetensors").is_symlink()
