"""What came of a run."""

from collections import Counter
from dataclasses import dataclass, field

from .making import Ask
from .mutations import Kind

MIB = 1024 * 1024
#: Bytes of a request that a finding shows.
_SHOWN_BYTES = 700
_CLASSES = ("2xx", "3xx", "4xx", "503/507", "5xx", "none")


@dataclass(frozen=True, slots=True)
class Finding:
    """`ask` is None where no single request is to blame."""

    what: str
    ask: Ask | None = None

    def shown(self, seed: int) -> str:
        if self.ask is None:
            return f"- {self.what}"
        data = self.ask.data[:_SHOWN_BYTES]
        cut = f"... ({len(self.ask.data)} bytes)" if len(self.ask.data) > len(data) else ""
        return (
            f"- request {self.ask.number} ({self.ask.kind}; {self.ask.group}): {self.what}\n"
            f"  replay: python -m benchmarks.fuzz --seed {seed} --only {self.ask.number}\n"
            f"  bytes: {data!r}{cut}"
        )


@dataclass
class Result:
    seed: int
    seconds: float = 0.0
    #: By group and by kind, each with the class of its answer.
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: 429, 503 and 507, by what is asked of whom.
    passing: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    #: Refused once, sent again by themselves, and held to change nothing at all.
    again: int = 0
    #: Of these, those in whose batch nothing was accepted.
    exactly: int = 0
    looks: int = 0
    slow_connections: int = 0
    slow_bytes: int = 0
    #: Bytes of the worker's own memory, and its descriptors: after the first fifth, at the end.
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.groups.values())

    @property
    def is_good(self) -> bool:
        return not self.findings

    def count(self, ask: Ask, status: int | None) -> None:
        self.groups[ask.group, class_of(status)] += 1
        self.kinds[ask.kind, class_of(status)] += 1


def class_of(status: int | None) -> str:
    """None where the connection ended without an answer."""
    if status is None:
        return "none"
    return "503/507" if status in {503, 507} else f"{status // 100}xx"


def table(result: Result) -> str:
    """In Markdown."""
    groups = sorted({group for group, _ in result.groups})
    lines = [
        *_table("protocol or page", groups, result.groups),
        "",
        *_table("what is hostile", list(Kind), result.kinds),
        "",
        *(f"- {line}" for line in _facts(result)),
    ]
    return "\n".join(lines)


def _facts(result: Result) -> list[str]:
    memory = " to ".join(f"{size / MIB:.1f}" for size in result.memory)
    descriptors = " to ".join(map(str, result.descriptors))
    return [
        f"seed {result.seed}, {result.seconds:.0f} s, "
        f"{result.requests / max(result.seconds, 1):.0f} requests/s",
        f"{result.again:,} refused requests were sent again to see that nothing changes, "
        f"{result.exactly:,} of them with nothing else beside them; {result.looks:,} looks",
        f"{result.slow_connections} connections dripped {result.slow_bytes:,} bytes meanwhile",
        f"the worker's own memory, from the first fifth to the end: {memory} MiB",
        f"its descriptors: {descriptors}",
        "codes of refusals: "
        + ", ".join(f"{code} {count:,}" for code, count in result.codes.most_common()),
        "told to come back: "
        + (", ".join(f"{what} {n}" for what, n in result.passing.most_common()) or "nobody"),
        f"findings: {len(result.findings)}",
    ]


def verdict(result: Result) -> str:
    if result.is_good:
        return "OK"
    return f"FAILED: {len(result.findings)} findings, shown above as they came"


def _table(title: str, names: list[str], counts: Counter[tuple[str, str]]) -> list[str]:
    width = max(map(len, [*names, title]))
    lines = [f"| {title:<{width}} | requests | {' | '.join(_CLASSES)} |"]
    lines.append(f"|{'-' * (width + 2)}|{'---:|' * (len(_CLASSES) + 1)}")
    for name in [*names, "all"]:
        row = [
            sum(n for (of, kind), n in counts.items() if kind == column and name in {of, "all"})
            for column in _CLASSES
        ]
        cells = " | ".join(f"{n:,}" for n in [sum(row), *row])
        lines.append(f"| {name:<{width}} | {cells} |")
    return lines
