"""verify: is a model folder as it was sealed, and does it still answer as it did?"""

from __future__ import annotations

from pathlib import Path

from tailorbird.engine.predictor import Predictor, from_artifact
from tailorbird.errors import BadArtifact
from tailorbird.store.artifact import Artifact, problems, read_manifest
from tailorbird.types import JSON, Device, Verification

TOLERANCE = 1e-3  # of a probability, between runtimes and machines: features agree to 1e-5, and a head amplifies


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
    for example, now in zip(golden, answers, strict=True):
        then = example["scores"]
        if now.scores is None:
            found.append(f"{example['file']}: not answered any more: {now.error}")
        elif max(abs(now.scores.get(label, 0.0) - score) for label, score in then.items()) > TOLERANCE:
            found.append(f"{example['file']}: answered otherwise: {then} was sealed, and now it is {dict(now.scores)}")
    return Verification(not found, tuple(found), len(golden))
