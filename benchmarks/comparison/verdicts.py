"""What is to be reached, what was seen, and how the two compare."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """One figure and its bound. `seen` is None where it could not be measured; `why` says why."""

    label: str
    seen: float | None
    bound: float
    at_least: bool
    unit: str = ""
    #: Digits after the point.
    digits: int = 2
    why: str = ""

    @property
    def reached(self) -> bool | None:
        """None when it was not measured. The figure itself counts, not as it is rounded."""
        if self.seen is None:
            return None
        return self.seen >= self.bound if self.at_least else self.seen <= self.bound

    @property
    def bound_text(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{self.label}: {sign} {self.bound:g}{self._unit}"

    @property
    def seen_text(self) -> str:
        if self.seen is None:
            return "-"
        return f"{self.seen:,.{self.digits}f}{self._unit}"

    @property
    def verdict(self) -> str:
        """`reached`, by how much it falls short, or why nothing was measured."""
        if self.seen is None:
            return f"not measured: {self.why}"
        if self.reached:
            return "reached"
        gap = abs(self.bound - self.seen)
        share = f", {gap / self.bound:.0%} of the bound" if self.bound else ""
        return f"short by {gap:,.{self.digits}f}{self._unit}{share}"

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def at_least(label: str, seen: float, bound: float, unit: str = "", digits: int = 2) -> Condition:
    return Condition(label, seen, bound, at_least=True, unit=unit, digits=digits)


def at_most(label: str, seen: float, bound: float, unit: str = "", digits: int = 2) -> Condition:
    return Condition(label, seen, bound, at_least=False, unit=unit, digits=digits)


@dataclass(frozen=True)
class Row:
    """One line of what is to be reached. All its conditions count."""

    what: str
    conditions: tuple[Condition, ...]
    #: What the figures are made of.
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """None when nothing falls short, but something was not measured."""
        outcomes = [condition.reached for condition in self.conditions]
        if False in outcomes:
            return False
        return None if None in outcomes or not outcomes else True


class NotHere(Exception):
    """Something that a row needs is not to be had here; its text says what, and why."""


def measured(what: str, bounds: list[Condition], work: Callable[[], Row]) -> Row:
    """The row of `work`; where that raises NotHere, one of `bounds` that says so."""
    try:
        return work()
    except NotHere as reason:
        return Row(what, tuple(unmeasured(condition, str(reason)) for condition in bounds))


def unmeasured(condition: Condition, why: str) -> Condition:
    return Condition(
        condition.label,
        None,
        condition.bound,
        condition.at_least,
        condition.unit,
        condition.digits,
        why,
    )
