"""plan: what each way to a model would cost here, before anything is pressed. docs/plan.md tells the flow."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.costs import Estimate, Plan, Prospect
from tailorbird.engine.choose import processor
from tailorbird.engine.features import cores
from tailorbird.engine.foretold import foretell
from tailorbird.engine.memory import give_back, is_out_of_memory, resident_bytes, watched
from tailorbird.engine.reckoning import Case, factors, shares_of, span, times, whole
from tailorbird.engine.shop import Order, Plugs, Shop, learned_from, open_shop, other_bodies, plugs_of, with_body
from tailorbird.engine.sounding import Sounding, sound
from tailorbird.errors import BadBody, BadSpelling, MissingExtra, check_seed
from tailorbird.kinds import Method
from tailorbird.lesson import Effort
from tailorbird.measure.names import higher_is_better
from tailorbird.plug import load, names, needs, parse
from tailorbird.progress import tell
from tailorbird.store import history
from tailorbird.store.bodies import weights_bytes
from tailorbird.types import JSON, Device

_TRYING_S = 8.0  # that a way may be tried for


@dataclass(frozen=True)
class Wish:
    """What a user asked for: the parameters of the verb, which explains them."""

    data: str | Path
    target: str | None
    input: str | None
    group: str | None
    test: str | Path | None
    validation: str | Path | None
    model: tuple[str, ...]
    method: tuple[str, ...]
    modality: str | None
    task: str | None
    price: float | None
    watts: float | None
    seed: int
    threads: int
    device: Device


@dataclass(frozen=True)
class Opened:
    """The rows with the first body, and what they are looked at with."""

    shop: Shop
    plugs: Plugs
    methods: Sequence[Method]
    threads: int
    seconds: float  # that reading took


def run(wish: Wish) -> Plan:
    """Measure for some seconds a way, and reckon the rest. Raises TailorbirdError before anything costly is done."""
    return planned(wish, opened(wish))


def opened(wish: Wish) -> Opened:
    """What was asked for, checked, and the rows read. Raises TailorbirdError."""
    began = time.perf_counter()
    check_seed(wish.seed)
    for option, value in (("--price", wish.price), ("--watts", wish.watts)):
        if value is not None and not 0 <= value < 1e9:
            raise BadSpelling(f"{option} is {value:g}, and must be 0 or more", f"{option} 0.40")
    methods = _methods(wish)
    needs("plan", "sklearn", "scipy", "threadpoolctl")
    order = order_of(wish)
    plugs = plugs_of(order)
    shop = open_shop(order, plugs)
    return Opened(shop, plugs, methods, cores(wish.threads), time.perf_counter() - began)


def planned(wish: Wish, given: Opened) -> Plan:
    """What each way would cost."""
    from threadpoolctl import threadpool_limits  # scikit-learn brings it; answering does without

    began, shop = time.perf_counter(), given.shop
    with threadpool_limits(given.threads):
        prospects, left_out = _Survey(wish, given).of()
    parts, past = shop.parts, _past(given.threads)
    return Plan(
        data=str(wish.data),
        rows={"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        target=str(shop.checked.dataset.target),
        task=shop.task.spelling(),
        threads=given.threads,
        processor=processor(),
        prospects=_ranked(prospects),
        left_out=left_out,
        real=sum(len(factors(past, "seconds", method.spelling())) for method in given.methods),
        seconds=given.seconds + time.perf_counter() - began,
    )


def _past(threads: int) -> list[Mapping[str, JSON]]:
    """The fits of this machine, with so many threads."""
    here = (processor(), threads)
    return [line for line in history.lines() if (line.get("processor"), line.get("threads")) == here]


def _methods(wish: Wish) -> list[Method]:
    """Those that the user names, or every method's usual ones."""
    if not wish.method:
        kinds = [load("method", name) for name in names("method")]
        return [parse("method", one, Method) for kind in kinds if issubclass(kind, Method) for one in kind.usual]
    found = [parse("method", one, Method) for one in wish.method]
    for method in found:
        if not method.foreseeable:
            problem = f"what method {method.spelling()!r} takes is what its budget lets it"
            raise BadSpelling(problem, "name others: --method probe --method finetune")
    return found


def order_of(wish: Wish) -> Order:
    """A fit of the same rows."""
    return Order(
        data=wish.data, out="", target=wish.target, input=wish.input, group=wish.group, test=wish.test,
        validation=wish.validation, model=next(iter(wish.model), None), modality=wish.modality, task=wish.task,
        method="probe", budget=None, runtime="auto", weights="none", seed=wish.seed, threads=wish.threads,
        device=wish.device, embed=False, force=False, resume=False, checkpoint_every="60s",
    )  # fmt: skip


@dataclass(frozen=True)
class _Survey:
    """Bodies and ways, one after the other."""

    wish: Wish
    given: Opened

    def of(self) -> tuple[list[Prospect], dict[str, str]]:
        """Each body's prospect, and why others of the store have none."""
        shop, modality = self.given.shop, self.given.plugs.modality
        prospects, left_out = [self._prospect(shop)], {}
        for spelling in self.wish.model[1:] if self.wish.model else other_bodies(shop):
            try:
                prospects.append(self._prospect(with_body(shop, spelling, modality, self.wish.modality)))
            except (BadBody, BadSpelling, MissingExtra) as error:
                if self.wish.model:
                    raise
                left_out[spelling] = error.problem
        return prospects, left_out

    def _prospect(self, shop: Shop) -> Prospect:
        methods = list(self._ways(shop))  # what does not fit is told before anything costly
        tell(f"{shop.body.spelling}: looking at some rows")
        with watched() as peak:
            sounding = sound(shop, self.given.threads, self.wish.device, self.wish.seed)
        give_back()
        held = (peak.size_bytes or 0, resident_bytes() or 0)
        ways = [way for one in methods if (way := self._estimate(shop, sounding, one, held))]
        return Prospect(
            body=shop.body.spelling,
            modality=shop.modality.spelling(full=True),
            evidence=sounding.evidence,
            metric=shop.task.metric,
            sample=sounding.n_rows,
            rows_per_second=sounding.rows_per_second,
            ways=tuple(sorted(ways, key=lambda way: way.seconds.value)),
        )

    def _ways(self, shop: Shop) -> Iterator[Method]:
        """Those methods that can tailor this body. Raises BadSpelling for one that was named."""
        for method in self.given.methods:
            try:
                needs(f"method {method.spelling()!r}", *method.needs)
                method.check(shop.body)
                method.check_rows(shop.labels, shop.task.link, shop.modality)
            except (BadSpelling, MissingExtra):
                if self.wish.method:
                    raise
                continue
            yield method

    def _estimate(self, shop: Shop, sounding: Sounding, method: Method, held: tuple[int, int]) -> Estimate | None:
        """None where memory is too short even to try. held: bytes at most while some rows were looked at, and then."""
        tell(f"{shop.body.spelling}: trying {method.spelling()}")
        give_back()
        others = max(0, (resident_bytes() or 0) - held[1])  # what ways that were tried before have left
        n_turns = 1 if shop.parts.folds is None else int(shop.parts.folds.max()) + 2
        n_train = len(shop.parts.train)
        if n_turns > 1:
            n_train = round(n_train * (n_turns - 1) / n_turns)  # without a fold each, and once all
        with tempfile.TemporaryDirectory(prefix="tailorbird-plan-") as folder, watched() as peak:
            lesson = sounding.lesson(Path(folder), time.monotonic() + _TRYING_S)
            try:
                effort = method.effort(lesson, n_train, len(shop.parts.validation))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                tell(f"{method.spelling()} is left out: memory is too short for it here")
                return None
        shares = shares_of(self._case(shop, sounding, method, n_turns), effort)
        memory = None if peak.size_bytes is None else max(held[0], peak.size_bytes - others)
        foretell(shop, method, (self.given.threads, self.wish.device), shares, memory)
        return self._told(shop, sounding, method, effort, (shares, memory))

    def _case(self, shop: Shop, sounding: Sounding, method: Method, n_turns: int) -> Case:
        parts, half = shop.parts, method.tunes and shop.parts.folds is None
        return Case(
            read_s=self.given.seconds,
            n_rows=len(learned_from(parts)) + len(parts.test),
            n_unknown=sounding.n_unknown(half=half),
            rows_per_second=sounding.speed(half=half),
            n_turns=n_turns,
            n_test=len(parts.test),
            full_per_second=sounding.rows_per_second,
            weights_mb=weights_bytes(shop.body.folder) / 1e6,
            may_learn=method.tunes,
        )

    def _told(
        self,
        shop: Shop,
        sounding: Sounding,
        method: Method,
        effort: Effort,
        found: tuple[Mapping[str, float], int | None],
    ) -> Estimate:
        """found: seconds by stage, and bytes of memory, before any correction."""
        past, (shares, memory) = _past(self.given.threads), found
        seconds = whole(shares, factors(past, "seconds", method.spelling()))
        price, watts = self.wish.price, self.wish.watts
        return Estimate(
            body=shop.body.spelling,
            method=method.spelling(),
            seconds=seconds,
            memory_bytes=None if memory is None else span(memory, factors(past, "memory_bytes", method.spelling())),
            disk_bytes=sounding.disk_bytes(len(shop.y), weights_bytes(shop.body.folder) if method.tunes else 0),
            price=None if price is None else times(seconds, price / 3600),
            kwh=None if watts is None else times(seconds, watts / 3.6e6),
            operations=effort.operations,
            steps=effort.steps,
            shares=shares,
        )


def _ranked(prospects: Sequence[Prospect]) -> tuple[Prospect, ...]:
    """The best evidence first; bodies without any last."""

    def rank(one: Prospect) -> tuple[bool, float]:
        worth = 0.0 if one.evidence is None else one.evidence.value
        return one.evidence is None, -worth if higher_is_better(one.metric) else worth

    return tuple(sorted(prospects, key=rank))
