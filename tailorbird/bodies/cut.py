"""A body cut below one of its layers: what goes in there is computed once, and the rest from it as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tailorbird.bodies.base import Body, layers_of

_TOLERANCE = 1e-4  # of the features' largest: a body whose rest gives others from what was kept cannot be cut
_HIDDEN = "hidden_states"


class _Reached(Exception):
    """Raised where the lower part ends, for nothing above is wanted."""


class Cut:
    """Two parts of a body that give together what it gives: the layers below `number`, and the others."""

    def __init__(self, body: Body, number: int) -> None:
        """number: of layers in the lower part, from 1 to all but one."""
        self._body = body
        self._layers = layers_of(body)
        self.number = number
        assert 0 < number < len(self._layers), "both parts have layers"
        self._n_given = 0  # values that a layer gives, as a tuple; 0: it gives the hidden states alone

    def below(self, **arrays: Tensor) -> Tensor:
        """What goes into the upper part: (b, ...)."""
        found: list[Tensor] = []

        def reach(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            found.append(named[_HIDDEN] if _HIDDEN in named else args[0])
            raise _Reached

        def look(_: nn.Module, __: tuple[Any, ...], given: Any) -> None:  # Any: what a layer gives
            self._n_given = len(given) if isinstance(given, tuple) else 0

        hooks = [
            self._layers[self.number - 1].register_forward_hook(look),
            self._layers[self.number].register_forward_pre_hook(reach, with_kwargs=True),
        ]
        try:
            self._body.last(**arrays)
        except _Reached:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return found[0]

    def above(self, kept: Tensor, **arrays: Tensor) -> Tensor:
        """Features of the last depth from what `below` gave of the same arrays, (b, width)."""

        def put(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return (args, {**named, _HIDDEN: kept}) if _HIDDEN in named else ((kept, *args[1:]), named)

        hook = self._layers[self.number].register_forward_pre_hook(put, with_kwargs=True)
        try:
            with self._passed():
                return self._body.last(**arrays)
        finally:
            hook.remove()

    def agrees(self, **arrays: Tensor) -> bool:
        """Whether both parts together give what the whole gives; some bodies carry more than hidden states upwards."""
        device = next(self._body.parameters()).device
        arrays = {name: x.to(device) for name, x in arrays.items()}
        with torch.no_grad():
            whole = self._body.last(**arrays)
            try:
                kept = self.below(**arrays)
                parts = self.above(kept, **arrays)
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                return False
        by_rows = len(kept) == len(whole)  # and not by tokens first
        return (
            by_rows
            and parts.shape == whole.shape
            and bool((parts - whole).abs().max() <= _TOLERANCE * whole.abs().max())
        )

    @contextmanager
    def _passed(self) -> Iterator[None]:
        """The lower layers give what goes into them, and compute nothing."""

        def give(*args: Any, **named: Any) -> Any:  # Any: whatever a layer is given and gives
            given = named[_HIDDEN] if _HIDDEN in named else args[0]
            return (given, *[None] * (self._n_given - 1)) if self._n_given else given

        lower = self._layers[: self.number]
        own = [layer.__dict__.get("forward") for layer in lower]
        for layer in lower:
            layer.forward = give
        try:
            yield
        finally:
            for layer, forward in zip(lower, own, strict=True):
                if forward is None:
                    del layer.forward
                else:
                    layer.forward = forward
