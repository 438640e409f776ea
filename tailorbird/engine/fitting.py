"""A fit from the first line to the sealed model: the flow that docs/architecture.md tells step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tailorbird.data import doctor as rows_doctor
from tailorbird.data.cases import findings_of
from tailorbird.engine import doctor
from tailorbird.engine.account import Attempt, Ground, predictor_of, report_of
from tailorbird.engine.budget import DEFAULT, Budget, budget, seconds_of
from tailorbird.engine.clock import Clock
from tailorbird.engine.curve import learning_curve
from tailorbird.engine.features import cores
from tailorbird.engine.foretold import settle
from tailorbird.engine.journal import Journal, journal
from tailorbird.engine.judge import judge
from tailorbird.engine.learn import Trial, baselines_for, learn_and_try
from tailorbird.engine.material import Material, gather_features, lesson_from
from tailorbird.engine.memory import Peak, give_back, watched
from tailorbird.engine.opening import Opening
from tailorbird.engine.predictor import Predictor
from tailorbird.engine.resuming import check_same
from tailorbird.engine.seal import Sealing, check_place, golden_values, write_artifact
from tailorbird.engine.shop import (
    Order,
    Plugs,
    Shop,
    learned_from,
    open_shop,
    other_bodies,
    plugs_of,
    with_body,
)
from tailorbird.engine.story import tell_story
from tailorbird.engine.which_body import best_body
from tailorbird.errors import BadOutput, check_seed
from tailorbird.kinds import Method
from tailorbird.lesson import Lesson, Workshop
from tailorbird.plug import needs
from tailorbird.progress import tell, tell_finding
from tailorbird.store.bodies import weights_bytes
from tailorbird.types import JSON, Finding, Story

_UNLIMITED_SECONDS = 600.0  # by which bodies are chosen where there is no budget
_CURVE_SECONDS = 20.0  # that the learning curve may take
_CURVE_SECONDS_OF_TUNED = 3.0  # where it is of a probe, and so only hints at what more rows would bring
_SEAL_SECONDS = 15.0  # judging, the report, and a fresh process that answers the golden examples
# What an early model takes, 14 s were measured of 10,600 texts, and the most of the time that is left that it may take.
_EARLY_S, _EARLY_S_A_ROW, _EARLY_SHARE = 5.0, 0.0005, 0.1
_FULL_COST = 4.0  # times what features of half precision cost; 3.3 was measured
# A body that learned: its graph, and a look at whether it agrees with torch. 9 s were measured for MiniLM of 90 MB,
# 4 s for EfficientNet-Lite0 of 19 MB, on two cores.
_EXPORT_SECONDS, _EXPORT_SECONDS_A_MB = 3.0, 0.1
_FIRST_SECONDS, _FIRST_SECONDS_A_ROW = 0.5, 0.0005  # baselines, the head alone, the body as a module
_LOOKS = 4  # at held-out rows before the deadline: one before the first step, and three that the loop leaves room for
_STEPS_ROWS = 10 * 64 * 3  # answers that cost as much as ten steps
_TORCH_COST = 2.0  # times what an answer of the runtime costs whose speed is known


def run(order: Order) -> Predictor:
    """Fit, measure, seal. Raises TailorbirdError before anything is written, or leaves nothing behind."""
    limit, clock = budget(order.budget or (DEFAULT if order.method.startswith("auto") else None)), Clock()
    check_seed(order.seed)
    plugs = plugs_of(order)
    every_s = seconds_of(order.checkpoint_every, "--checkpoint-every")
    out = Path(order.out)
    check_place(out, order.force or order.resume)
    needs("fit", "sklearn", "scipy", "cleanlab", "threadpoolctl", "jinja2", *plugs.method.needs)
    from threadpoolctl import threadpool_limits  # scikit-learn brings it; answering does without both

    threads = cores(order.threads)
    begun = journal(out, order.plain(), resume=order.resume, force=order.force, every_s=every_s, threads=threads)
    with threadpool_limits(threads), begun as notes, watched() as peak:
        return _Fit(order, plugs, threads, clock, limit.after(notes.spent_s), notes, peak).run()


@dataclass(frozen=True)
class _Fit:
    """One fit: what was asked for, and what it has at hand."""

    order: Order
    plugs: Plugs
    threads: int
    clock: Clock
    limit: Budget
    journal: Journal
    peak: Peak

    def run(self) -> Predictor:
        order, clock = self.order, self.clock
        limit = replace(self.limit, seconds=None) if order.resume else self.limit  # who has begun may end
        with clock.at("read"):
            shop, bodies = self._body(open_shop(order, self.plugs))
            check_same(self.journal, shop)
        with clock.at("features"):
            material = gather_features(
                shop.checked, shop.body, shop.modality, runtime=order.runtime, threads=self.threads,
                device=order.device, limit=limit, half=self.plugs.method.tunes and shop.parts.folds is None,
                planned=partial(self.journal.array, "features"),
            )  # fmt: skip
        with clock.at("check"):
            findings = self._findings(shop, material)
        ground = Ground(order, shop, material, findings, bodies, self.threads, self.limit.seconds)
        lesson = self._early(ground, self._lesson(shop, material))
        give_back()  # what encoded the rows was let go, and learning takes much
        with clock.at("fit"):
            attempt = self._attempt(ground, self.plugs.method, order.method, lesson)
        curve_s = _CURVE_SECONDS if attempt.learned.tailored.body is None else _CURVE_SECONDS_OF_TUNED
        sealing = self._sealing(ground, lesson, attempt, Path(order.out), curve_s)
        sealed = write_artifact(sealing, Path(order.out), replace=order.force or self.journal.replaces)
        head = attempt.learned.tailored.head.notes
        if not order.resume and head.get("steps") == head.get("steps_planned"):  # and was not cut short
            settle(shop, self.plugs.method, (self.threads, order.device), clock.seconds(), self.peak.size_bytes)
        return replace(sealed, report=replace(sealing.report, seconds=self._seconds()))

    def _seconds(self) -> dict[str, float]:
        """Seconds of each stage in this sitting, and of all sittings together."""
        told = self.clock.seconds()
        return {**told, "total": self.journal.spent_s} if self.order.resume else told

    def _body(self, shop: Shop) -> tuple[Shop, list[dict[str, JSON]]]:
        """The rows with the body to tailor: the one that was named; else auto looks at what the store has. Fold by fold
        no row is left to choose it on, so it is the usual one."""
        if self.order.model or self.plugs.method.foreseeable or shop.parts.folds is not None:
            return shop, []
        typed, modality = self.order.modality, self.plugs.modality

        def measure() -> JSON:
            others = [with_body(shop, one, modality, typed) for one in other_bodies(shop)]
            if not others:
                return [shop.body.spelling, []]
            left, runtime = min(self.limit.left_s, _UNLIMITED_SECONDS), self.order.runtime
            named = None if runtime == "auto" else runtime
            best, tried = best_body([shop, *others], named, left, self.threads, self.order.device, self.order.seed)
            return [best.body.spelling, tried]

        spelling, tried = self.journal.first("body", measure)
        return (shop if spelling == shop.body.spelling else with_body(shop, spelling, modality, typed)), tried

    def _findings(self, shop: Shop, material: Material) -> tuple[Finding, ...]:
        last = material.features["last"]
        cases = [*rows_doctor.cases(shop.checked), *shop.parts.cases]
        cases += doctor.cases(shop.task, shop.labels, shop.y, shop.checked, shop.parts, last, self.order.seed)
        findings = (*shop.checked.dataset.findings, *findings_of(cases))
        for finding in findings:
            tell_finding(finding)
        return findings

    def _lesson(self, shop: Shop, material: Material) -> Lesson:
        order = self.order
        workshop = Workshop(
            shop.body,
            shop.modality,
            material.evidence.values,
            shop.labels,
            self.journal.work,
            self.threads,
            order.device,
            self.journal.lap,
            self.journal.keep if order.budget else None,  # who named no budget wants no more than what is usual
            self.journal.first,
            shop.checked.digests,
            self.journal.has_learned,
        )
        lesson = lesson_from(
            material, shop.task, shop.y, len(shop.labels), shop.parts, weights=order.weights, seed=order.seed
        )
        spare_s = self._spare_s(shop, material)
        if self.plugs.method.tunes and not (order.method.startswith("auto") or order.resume):  # auto takes a probe then
            least_s = _least_s(shop, material)
            why = f"the first steps of learning take about {least_s:.0f} s here, and what comes after {spare_s:.0f} s"
            self.limit.check(least_s + spare_s, why)
        return replace(lesson, workshop=workshop, deadline=self.limit.deadline(spare_s))

    def _early(self, ground: Ground, lesson: Lesson) -> Lesson:
        """The lesson with what its method can give early, sealed in `OUT.part` for whoever does not want to wait."""
        journal, most_s = self.journal, _EARLY_SHARE * self.limit.left_s
        if journal.has_learned or journal.has_early or self._early_s(ground) > most_s:
            return lesson
        found = self.plugs.method.early(lesson)
        if found is None:
            return lesson
        method, part = found
        with self.clock.at("early"):
            attempt = self._attempt(ground, method, method.spelling(), part)
            sealing = replace(self._sealing(ground, part, attempt, journal.early, 0.0), embed=False)
            try:
                write_artifact(sealing, journal.early, replace=True, replay=False)
                journal.note_spent()
                tell(f"there is an early model, {str(journal.early)!r}, until this one is done")
                tell(sealing.report.verdict.sentence)
            except BadOutput as error:  # a full disk is no reason to learn nothing
                tell(f"no early model: {error.problem}")
        return replace(lesson, early=attempt.learned.tailored)

    def _early_s(self, ground: Ground) -> float:
        """Seconds that an early model takes: a head, baselines, figures, and the test rows in full precision."""
        parts, material = ground.shop.parts, ground.material
        n_held = len(parts.test) if material.half and parts.folds is None else 0
        return _EARLY_S + _EARLY_S_A_ROW * len(ground.shop.y) + _FULL_COST * n_held / _speed(material)

    def _attempt(self, ground: Ground, method: Method, spelling: str, lesson: Lesson) -> Attempt:
        """What a method makes of the lesson, and how it answers the rows that it is measured on."""
        shop, material = ground.shop, ground.material
        rivals = baselines_for(shop.modality.name, shop.task.link)
        opening = Opening(self.order, self.threads, shop, material)
        learned, trial = learn_and_try(method, rivals, lesson, material.evidence, shop.parts, opening)
        choice = opening(learned.tailored) or material.choice
        return Attempt(spelling, learned, trial, choice.closed())

    def _sealing(self, ground: Ground, lesson: Lesson, attempt: Attempt, out: Path, curve_s: float) -> Sealing:
        """Measure, and put together what is written to `out`. curve_s: that the learning curve may take."""
        order, shop, trial = self.order, ground.shop, attempt.trial
        values, tailored = ground.material.evidence.values, attempt.learned.tailored
        with self.clock.at("evaluate"):
            together, y = shop.parts.clusters[trial.rows], shop.y[trial.rows]
            judged = judge(shop.task, shop.labels, y, trial.model, trial.rivals, together, order.seed)
            story, thumbs = self._story(ground, lesson, trial, curve_s)
        report = report_of(ground, attempt, out, judged, story, self._seconds())
        p = predictor_of(ground, attempt, report, out)
        golden = golden_values(values, trial.rows, order.seed)
        call = {**order.plain(), "method": attempt.method}
        return Sealing(p, call, golden, order.embed or tailored.body is not None, thumbs)

    def _spare_s(self, shop: Shop, material: Material) -> float:
        """Seconds to keep for what comes after learning: the tuned body's export and its test rows, and the sealing."""
        n_held = 0 if shop.parts.folds is not None else len(shop.parts.test)
        slower = _FULL_COST if material.half else 1.0
        exporting = _EXPORT_SECONDS + _EXPORT_SECONDS_A_MB * weights_bytes(shop.body.folder) / 1e6
        return _SEAL_SECONDS + exporting + 1.5 * slower * n_held / _speed(material)

    def _story(self, ground: Ground, lesson: Lesson, trial: Trial, curve_s: float) -> tuple[Story, dict[str, bytes]]:
        shop = ground.shop
        seconds = min(curve_s, max(self.limit.left_s - _SEAL_SECONDS, 0.0))
        curve, more = learning_curve(lesson, shop.task, shop.labels, shop.parts, seconds=seconds)
        told, thumbs = tell_story(shop, trial, ground.material.evidence.values)
        return replace(told, curve=curve, more_labels=more), thumbs


def _least_s(shop: Shop, material: Material) -> float:
    """Seconds until a body has taken ten steps; of few rows one learns for each fold, and one for the model."""
    parts, n_rows = shop.parts, len(learned_from(shop.parts))
    n_turns = 1 if parts.folds is None else int(parts.folds.max()) + 2
    n_held = len(parts.validation) or n_rows // 5
    learning = _TORCH_COST * (_LOOKS * n_held + _STEPS_ROWS) / _speed(material)
    return n_turns * (_FIRST_SECONDS + _FIRST_SECONDS_A_ROW * n_rows + learning)


def _speed(material: Material) -> float:
    """Rows a second."""
    return max(material.choice.speeds.get(material.choice.runtime, 50.0), 1e-3)
