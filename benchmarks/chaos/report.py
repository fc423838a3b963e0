"""What came of a run, for people and for programs."""

from dataclasses import asdict, dataclass, field
from typing import Any

from .ledger import Failure
from .options import Options
from .plan import Fault, Mischief, Stream

MIB = 1024 * 1024
#: More lines help nobody.
_SHOWN_FAILURES = 30


@dataclass
class Result:
    """`faults` and `streams` have every kind, those that never happened as 0."""

    seed: int
    seconds: float
    workers: int = 1
    faults: dict[str, int] = field(default_factory=dict)
    #: By kind, those included that nothing went wrong with.
    streams: dict[str, int] = field(default_factory=dict)
    #: Kinds of faults that this machine does not allow, and why.
    impossible: dict[str, str] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    errors_raised: int = 0
    #: What else was counted: see `Ledger.counts`.
    counts: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    starts: int = 0
    #: Starts after the server had ended by itself, its workers having died too often.
    revivals: int = 0
    #: Seconds after the last fault until the last upload completed.
    settled: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.failures

    @property
    def total_faults(self) -> int:
        return sum(self.faults.values())

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "good": self.is_good, "total_faults": self.total_faults}


def missing_kinds(result: Result) -> list[str]:
    """The kinds of faults and of streams that never happened, though they could."""
    happened = {**result.faults, **result.streams}
    kinds = [*Fault, *Mischief, *Stream]
    return [k for k in kinds if not happened.get(k) and k not in result.impossible]


def table(result: Result) -> str:
    """In Markdown."""
    count = result.counts.get
    sent_again = count("bytes of bodies", 0) - count("bytes acknowledged", 0)
    rows = [
        *((kind, _times(result, kind)) for kind in [*Fault, *Mischief]),
        ("**faults in all**", f"**{result.total_faults}**"),
        *((kind, f"{result.streams.get(kind, 0):,}") for kind in Stream),
        ("**streams in all**", f"**{sum(result.streams.values()):,}**"),
        ("named points crashed at", str(len(result.crashes))),
        ("errors raised by injection", f"{result.errors_raised:,}"),
        ("uploads completed", f"{count('uploads completed', 0):,}"),
        ("of these begun without a size", f"{count('uploads without a size', 0):,}"),
        ("uploads cancelled", f"{count('uploads cancelled', 0):,}"),
        ("uploads abandoned", f"{count('uploads abandoned', 0):,}"),
        ("live uploads expired by a cleanup they were idle for", str(count("sessions expired", 0))),
        ("completed uploads deleted", f"{count('completed uploads deleted', 0):,}"),
        ("downloads compared", f"{count('downloads compared', 0):,}"),
        ("bytes of completed files", _mib(count("bytes of completed files", 0))),
        ("bytes of chunks and streams sent", _mib(count("bytes of bodies", 0))),
        ("of these by streams", _mib(count("bytes of streams", 0))),
        ("of these sent again", _mib(sent_again)),
        ("bytes through the network", _mib(result.bytes_sent)),
        ("damaged chunks repaired", str(count("chunks repaired", 0))),
        ("damaged tails asked for again", str(count("tails asked for again", 0))),
        ("verifications waited for", str(count("verifications waited for", 0))),
        ("starts of the server", f"{result.starts} (of these by itself: {result.revivals})"),
        ("last upload complete after the last fault", f"{result.settled:.1f} s"),
        ("failures", str(len(result.failures))),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"| {name:<{width}} | {value} |" for name, value in rows]
    return "\n".join([f"| {'':<{width}} | |", f"|{'-' * (width + 2)}|---|", *lines])


def verdict(result: Result, options: Options) -> str:
    if result.is_good:
        return "OK"
    shown = [f"- {failure}" for failure in result.failures[:_SHOWN_FAILURES]]
    rest = len(result.failures) - len(shown)
    more = [f"- and {rest} more"] if rest else []
    replay = (
        f"Replay the plan: python -m benchmarks.chaos --seed {result.seed} "
        f"--seconds {options.seconds:g} --clients {options.clients} "
        f"--faults-per-second {options.faults_per_second:g}"
    )
    return "\n".join([f"FAILED: {len(result.failures)}", *shown, *more, replay])


def _times(result: Result, kind: str) -> str:
    if kind in result.impossible:
        return f"impossible here: {result.impossible[kind]}"
    return f"{result.faults.get(kind, 0):,}"


def _mib(count: int) -> str:
    return f"{count / MIB:,.0f} MiB"
