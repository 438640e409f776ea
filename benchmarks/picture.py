"""The picture of docs/performance.md: who is how good after how many seconds, and where our seconds go.

    python benchmarks/picture.py peers.jsonl docs/fast-path.svg

peers.jsonl: what peers.py wrote with --out; of its scene "reviews" the first round is drawn. A peer's curve is of its
own evaluations, whose time is not counted; of a fit only the end is known, for its figures come with the model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 430, 56, 20, 46, 290
LOWEST, HIGHEST = 74, 90  # per cent
STAGES = {"read": "read", "features": "features", "check": "doctor", "fit": "learning, rivals, tuned graph",
          "evaluate": "figures", "seal": "seal"}  # fmt: skip
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 } .small { font-size: 11px } .axis { stroke: #999 }
.grid { stroke: #e3e3e3 } .theirs { stroke: #8a8a8a; fill: none; stroke-width: 1.8 } .dot { fill: #8a8a8a }
.ours { fill: #c2410c } .stage { fill: #c2410c; fill-opacity: .25; stroke: #c2410c }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #333 } .paper { fill: #111 } }
.paper { fill: #fff } @media (prefers-color-scheme: dark) { .paper { fill: #111 } }
"""


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit((__doc__ or "").split("\n\n")[1].strip())
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    ways = {one["way"]: one for one in lines if one["scene"] == "reviews" and one["round"] == 0}
    Path(sys.argv[2]).write_text(drawn(ways), encoding="utf-8")


def drawn(ways: Mapping[str, Mapping[str, Any]]) -> str:
    """The picture as SVG."""
    last = max(one["seconds"] for one in ways.values())
    told = "; ".join(f"{name} {100 * one['accuracy']:.1f} % after {one['seconds']:.0f} s" for name, one in ways.items())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        '<title id="t">Accuracy on film reviews over seconds, and where the seconds of finetune go</title>',
        f'<desc id="d">{escape(told)}.</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        *_axes(last),
        *(line for name, one in ways.items() for line in _way(name, one, last)),
    ]
    if "finetune" in ways:
        parts += _stages(ways["finetune"], last)
    return "\n".join([*parts, "</svg>", ""])


def _x(seconds: float, last: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / last / 1.04, 1)


def _y(accuracy: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * (accuracy - LOWEST / 100) / ((HIGHEST - LOWEST) / 100), 1)


def _axes(last: float) -> Iterator[str]:
    yield f'<text x="{LEFT - 40}" y="24">accuracy on 2,000 test rows, %</text>'
    for percent in range(LOWEST, HIGHEST + 1, 2):
        y = _y(percent / 100)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="small" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{percent}</text>'
    for seconds in range(0, int(last) + 1, 60):
        x = _x(seconds, last)
        yield f'<line class="axis" x1="{x}" x2="{x}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>'
        yield f'<text class="small" x="{x}" y="{BOTTOM + 17}" text-anchor="middle">{seconds}</text>'
    yield f'<text class="small" x="{WIDTH - RIGHT}" y="{BOTTOM + 32}" text-anchor="end">seconds</text>'


def _way(name: str, one: Mapping[str, Any], last: float) -> Iterator[str]:
    is_ours = name in ("auto", "finetune", "probe")
    if not is_ours and len(one["curve"]) > 1:
        points = " ".join(f"{_x(seconds, last)},{_y(accuracy)}" for seconds, accuracy in one["curve"])
        yield f'<polyline class="theirs" points="{points}"/>'
    x, y = _x(one["seconds"], last), _y(one["accuracy"])
    yield f'<circle class="{"ours" if is_ours else "dot"}" cx="{x}" cy="{y}" r="5"/>'
    label = f"{'tailorbird ' if is_ours else ''}{name} {100 * one['accuracy']:.1f}"
    anchor, dx = ("end", -8) if x > 0.8 * WIDTH else ("start", 8)
    yield f'<text x="{x + dx}" y="{y + (-9 if is_ours else 20)}" text-anchor="{anchor}">{escape(label)}</text>'


def _stages(one: Mapping[str, Any], last: float) -> list[str]:
    """The seconds of a fit as a bar on the same axis, and their names below it."""
    spent: Mapping[str, float] = one["notes"]["stages"]
    seconds = [(STAGES[name], spent[name]) for name in STAGES if name in spent]
    seconds.append(("seal, imports", one["seconds"] - sum(value for _, value in seconds)))
    return [*_bar(seconds, last), *_names(seconds)]


def _bar(seconds: Sequence[tuple[str, float]], last: float) -> Iterator[str]:
    at = 0.0
    yield f'<text x="{LEFT - 40}" y="{BOTTOM + 52}">where the seconds of finetune go</text>'
    for number, (_, value) in enumerate(seconds, 1):
        x, width = _x(at, last), _x(at + value, last) - _x(at, last)
        yield f'<rect class="stage" x="{x}" y="{BOTTOM + 62}" width="{width:.1f}" height="20"/>'
        if width > 12:
            yield f'<text class="small" x="{x + 3}" y="{BOTTOM + 76}">{number}</text>'
        at += value


def _names(seconds: Sequence[tuple[str, float]]) -> Iterator[str]:
    told = ", ".join(f"{number} {name} {value:.0f} s" for number, (name, value) in enumerate(seconds, 1))
    yield f'<text class="small" x="{LEFT}" y="{BOTTOM + 102}">{escape(told)}</text>'


if __name__ == "__main__":
    main()
