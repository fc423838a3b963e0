"""The rates as a picture: bars for the medians, lines over them for the spread. SVG 1.1."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from .contestants import HOLDFAST, LIMIT, OTHER, Contestant
from .figures import Spread

WIDTH = 860
_LEFT, _RIGHT, _TOP = 290, 90, 64
_LINE, _BAR = 30, 16
#: Between two lines of the scale, at most so many of them.
_MOST_STEPS = 8

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2933; }
  .title { font-weight: 600; font-size: 15px; }
  .faint { fill: #52606d; font-size: 12px; }
  .scale { stroke: #cbd2d9; stroke-width: 1; }
  .spread { stroke: #1f2933; stroke-width: 1.5; }
  .ours { fill: #2563a8; } .limit { fill: #8a94a0; } .other { fill: #c2741d; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; } .faint { fill: #9aa5b1; }
    .scale { stroke: #3e4c59; } .spread { stroke: #f5f7fa; }
    .ours { fill: #4c94e0; } .limit { fill: #7b8794; } .other { fill: #d98a3a; }
  }
"""
_CLASSES = {HOLDFAST: "ours", LIMIT: "limit", OTHER: "other"}
_KEY = ((HOLDFAST, "Holdfast"), (LIMIT, "the bare limit"), (OTHER, "others"))


@dataclass(frozen=True)
class Bar:
    name: str
    group: str
    spread: Spread


def bars(contestants: Sequence[Contestant], seen: dict[str, Spread]) -> list[Bar]:
    """The fastest first."""
    found = [Bar(each.name, each.group, seen[each.key]) for each in contestants]
    return sorted(found, key=lambda bar: -bar.spread.median)


def svg(found: Sequence[Bar], subtitle: str) -> str:
    """Of at least one bar."""
    top = max(bar.spread.high for bar in found)
    step = scale_step(top)
    height = _TOP + _LINE * len(found) + 44
    scale = (WIDTH - _LEFT - _RIGHT) / top
    bottom = _TOP + _LINE * len(found)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>MiB/s, {escape(subtitle)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="16" y="26">MiB/s taken in: {escape(subtitle)}</text>',
        *_key(),
        *_scale(step, top, scale, bottom),
        *(line for number, bar in enumerate(found) for line in _bar(number, bar, scale)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def scale_step(top: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50, … that has at most `_MOST_STEPS` steps up to `top`."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if top / (step * factor) <= _MOST_STEPS:
                return step * factor
        step *= 10


def _key() -> list[str]:
    lines, x = [], _LEFT
    for group, words in _KEY:
        lines.append(
            f'<rect class="{_CLASSES[group]}" x="{x}" y="40" width="12" height="12" rx="2"/>'
        )
        lines.append(f'<text class="faint" x="{x + 18}" y="51">{words}</text>')
        x += 130
    return lines


def _scale(step: float, top: float, scale: float, bottom: int) -> list[str]:
    lines, value = [], 0.0
    while value <= top:
        x = _LEFT + value * scale
        lines.append(f'<line class="scale" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        lines.append(
            f'<text class="faint" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">'
            f"{value:,.0f}</text>"
        )
        value += step
    return lines


def _bar(number: int, bar: Bar, scale: float) -> list[str]:
    y = _TOP + number * _LINE + (_LINE - _BAR) / 2
    middle = y + _BAR / 2
    spread = bar.spread
    low, high = _LEFT + spread.low * scale, _LEFT + spread.high * scale
    line = middle + 4.5
    return [
        f'<text x="{_LEFT - 12}" y="{line:.1f}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{_CLASSES[bar.group]}" x="{_LEFT}" y="{y:.1f}" '
        f'width="{spread.median * scale:.1f}" height="{_BAR}" rx="2"/>',
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" '
        f'y2="{middle:.1f}"/>',
        f'<text x="{high + 8:.1f}" y="{line:.1f}">{spread.median:,.0f}</text>',
    ]
