"""verify: is a model folder as it was sealed, and does it still answer as it did?"""

from __future__ import annotations

from pathlib import Path

from tailorbird.engine.predictor import Predictor, from_artifact, scores_of
from tailorbird.errors import BadArtifact
from tailorbird.store.artifact import Artifact, problems, read_manifest
from tailorbird.types import JSON, Device, Verification

# Of a probability, or of a number in deviations of the targets, between runtimes and machines: features agree to 1e-5,
# and a head amplifies that.
TOLERANCE = 1e-3


def verify(
    model: str | Path,
    *,
    threads: int,
    device: Device,
) -> Verification:
    """Check every byte of a model folder, and answer its golden examples again."""
    path = Path(model)
    if not path.exists():
        raise BadArtifact(f"there is no model folder {str(path)!r}", "make one: tailorbird fit DATA --out MODEL")
    try:
        manifest = read_manifest(path)
    except BadArtifact as error:
        return Verification(False, (error.problem,))
    found = problems(path, manifest)
    if found:  # nothing of a damaged folder is opened further
        return Verification(False, tuple(found))
    p = from_artifact(Artifact(path, manifest), threads=threads, device=device)
    return _replay(p, path, manifest["golden"])


def _replay(p: Predictor, path: Path, golden: list[JSON]) -> Verification:
    answers = p.predict([path / example["file"] for example in golden])
    found = []
    for example, answer in zip(golden, answers, strict=True):
        then, now = example["scores"], scores_of(answer)
        if answer.error is not None:
            found.append(f"{example['file']}: not answered any more: {answer.error}")
        elif not _is_same(then, now, TOLERANCE * p.head.scale):
            found.append(f"{example['file']}: answered otherwise: {then} was sealed, and now it is {now}")
    return Verification(not found, tuple(found), len(golden))


def _is_same(then: dict[str, float], now: dict[str, float], most: float) -> bool:
    """Whether no score is further than that from what it was. What is no number is near to nothing."""
    return all(abs(now.get(label, 0.0) - then.get(label, 0.0)) <= most for label in {**then, **now})
