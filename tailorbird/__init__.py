"""Off-the-rack models, tailored to you: adapt a pretrained model to your own data, measured honestly.

    import tailorbird as tb
    p = tb.fit("pets/", out="pets-model")
    p.predict(["photo.jpg"])
    tb.evaluate(p, "pets-test")

Each verb is imported when it is first used, so that `import tailorbird` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tailorbird.errors import TailorbirdError

if TYPE_CHECKING:
    from tailorbird.engine.predictor import Predictor as Predictor
    from tailorbird.verbs.cache import cache as cache
    from tailorbird.verbs.check import check as check
    from tailorbird.verbs.demo import demo as demo
    from tailorbird.verbs.evaluate import evaluate as evaluate
    from tailorbird.verbs.find import find as find
    from tailorbird.verbs.fit import fit as fit
    from tailorbird.verbs.plan import plan as plan
    from tailorbird.verbs.predict import predict as predict
    from tailorbird.verbs.pull import pull as pull
    from tailorbird.verbs.report import report as report
    from tailorbird.verbs.sweep import sweep as sweep
    from tailorbird.verbs.verify import verify as verify

__version__ = "0.1.0"

_HOMES = {
    "Predictor": "engine.predictor",
    "cache": "verbs.cache",
    "check": "verbs.check",
    "demo": "verbs.demo",
    "evaluate": "verbs.evaluate",
    "find": "verbs.find",
    "fit": "verbs.fit",
    "load": "engine.predictor",
    "plan": "verbs.plan",
    "predict": "verbs.predict",
    "pull": "verbs.pull",
    "report": "verbs.report",
    "sweep": "verbs.sweep",
    "verify": "verbs.verify",
}

__all__ = ["TailorbirdError", "__version__", *_HOMES]


def __getattr__(name: str) -> Any:  # Any: the value is whatever that module calls by this name
    if name not in _HOMES:
        raise AttributeError(f"module 'tailorbird' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tailorbird.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
