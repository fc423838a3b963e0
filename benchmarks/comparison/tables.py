"""What a run found, as tables that read well in a terminal and in Markdown alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .contestants import Contestant
from .figures import Spread
from .verdicts import Row

_WORDS = {True: "**reached**", False: "**short**", None: "**open**"}


@dataclass(frozen=True)
class Entry:
    """A server in the first table: what it did, or why it is not here."""

    name: str
    checks: str
    spread: Spread | None
    why: str = ""


def entries(
    contestants: Iterable[Contestant], seen: Mapping[str, Spread], absent: Mapping[str, str]
) -> list[Entry]:
    """Those that were measured, and after them those that are not here."""
    there = [Entry(each.name, each.checks, seen[each.key]) for each in contestants]
    return there + [Entry(key, "", None, why) for key, why in absent.items()]


def servers_table(found: Sequence[Entry]) -> str:
    lines = [
        ("what", "checks", "MiB/s, median", "lowest to highest"),
        *((e.name, e.checks or "-", *_rates(e)) for e in found),
    ]
    return _table(lines, right=(2, 3))


def _rates(entry: Entry) -> tuple[str, str]:
    if entry.spread is None:
        return "-", f"not here: {entry.why}"
    spread = entry.spread
    return f"{spread.median:,.0f}", f"{spread.low:,.0f} to {spread.high:,.0f}"


def rows_table(rows: Sequence[Row]) -> str:
    """A line for each condition; the first of a row has its name, its outcome and its note.

    A row that broke off has a line too.
    """
    lines = [("what", "outcome", "bound", "seen", "", "how it came about")]
    for row in rows:
        head, note = (row.what, _WORDS[row.reached]), row.note
        if not row.conditions:
            lines.append((*head, "", "-", "", note))
        for condition in row.conditions:
            lines.append(
                (*head, condition.bound_text, condition.seen_text, condition.verdict, note)
            )
            head, note = ("", ""), ""
    return _table(lines, right=(3,))


def _table(lines: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> str:
    """Markdown, its columns padded so that it also reads as it is."""
    lines = [tuple(_cell(text) for text in line) for line in lines]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple(
        "-" * (width - 1) + (":" if number in right else "-") for number, width in enumerate(widths)
    )
    rows = [lines[0], rule, *lines[1:]]
    return "\n".join("| " + " | ".join(_padded(row, widths, right)) + " |" for row in rows)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _padded(row: tuple[str, ...], widths: list[int], right: tuple[int, ...]) -> list[str]:
    return [
        text.rjust(width) if number in right else text.ljust(width)
        for number, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
