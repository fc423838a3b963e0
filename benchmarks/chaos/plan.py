"""What will be sent and what will go wrong, by seed alone."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

from uploads.core.plan import KIB, MIB

from .files import MadeUpFile
from .options import Options

T = TypeVar("T")


class Fault(StrEnum):
    """What the director does to the server and its surroundings."""

    KILL_SERVER = "kill -9 of the server"
    KILL_WORKER = "kill -9 of a worker"
    TERMINATE = "SIGTERM and start"
    CRASH = "crash at a named point"
    DROP = "connections cut"
    CUT = "connections cut in mid-body"
    STALL = "bodies stalled"
    OUTAGE = "network down"
    DISK_ERRORS = "disk errors injected"
    DATABASE_ERRORS = "database errors injected"
    FULL_DISK = "disk full"
    FLIP = "byte flipped in staging"
    FLIP_TAIL = "byte flipped in a tail"
    LOCK = "database locked by another process"
    CLEANUP = "cleanup"
    CLEANUP_KILLED = "cleanup killed"
    ORPHANS = "orphans planted"


class Mischief(StrEnum):
    """What a client does with one chunk, besides sending it."""

    AT_ONCE = "same chunk by several at once"
    CORRUPTED = "corrupted body"
    WRONG_LENGTH = "body of a wrong length"
    WRONG_RANGE = "wrong range declared"
    CONFLICTING = "other bytes for a chunk that is in"
    CUT = "one body cut"
    STALLED = "one body stalled"
    STRANGER = "chunk from somebody else"


class Way(StrEnum):
    """How the bytes of a file go to the server."""

    CHUNKS = "chunks"
    STREAMS = "streams"
    #: Chunks and streams in turn, into the same session.
    BOTH = "chunks and streams"
    #: Streams of a session that chunked-upload began without a size.
    SIZELESS = "streams without a size"


class Stream(StrEnum):
    """What a client sends from the offset on, where it sends streams."""

    WHOLE = "stream of all the rest"
    PIECE = "stream of a piece"
    FORM = "piece as a form of chunked-upload"
    SLOW = "slow stream, asked about meanwhile"
    CUT = "stream cut by its client"
    TWO = "two streams at once, one half dead"
    ASTRAY = "stream from a wrong offset"


class Behaviour(StrEnum):
    """What a client does with a whole file."""

    PLAIN = "plain"
    #: Two clients send the same session.
    TWINS = "twins"
    #: Two sessions of the same content; one is deleted while the other completes.
    SHARED = "shared"
    CANCEL = "cancel"
    ABANDON = "abandon"


class Declared(StrEnum):
    """When the client says the SHA-256 of its file."""

    FIRST = "in the handshake"
    LAST = "with complete"
    NEVER = "never"


#: After these a process has ended; they take seconds to recover from.
ENDING = {Fault.KILL_SERVER, Fault.KILL_WORKER, Fault.TERMINATE, Fault.CRASH}
#: How often each kind comes in one round. Each round has all, in an order of its own.
_FAULTS: dict[Fault, int] = {
    **dict.fromkeys(Fault, 1),
    Fault.CRASH: 3,
    Fault.DROP: 3,
    Fault.CUT: 4,
    Fault.STALL: 3,
    Fault.DISK_ERRORS: 3,
    Fault.FLIP: 3,
    Fault.FLIP_TAIL: 3,
    Fault.LOCK: 2,
    Fault.CLEANUP: 3,
    Fault.FULL_DISK: 2,
}
_BEHAVIOURS: dict[Behaviour, int] = {
    Behaviour.PLAIN: 8,
    Behaviour.TWINS: 2,
    Behaviour.SHARED: 2,
    Behaviour.CANCEL: 2,
    Behaviour.ABANDON: 1,
}
_WAYS: dict[Way, int] = {Way.CHUNKS: 4, Way.BOTH: 4, Way.STREAMS: 2, Way.SIZELESS: 2}
#: In the others no chunk is sent by itself, so that none can be made trouble with.
_WITH_CHUNKS = {Way.CHUNKS, Way.BOTH}
_WITH_STREAMS = {Way.BOTH, Way.STREAMS, Way.SIZELESS}
#: These send the first chunks only.
_PARTLY = {Behaviour.CANCEL, Behaviour.ABANDON}
_CHUNK_SIZES = (256 * KIB, 512 * KIB, MIB)
#: (most bytes, how often): mostly small, now and then up to the largest.
_SIZES = ((256 * KIB, 10), (5 * MIB, 45), (20 * MIB, 33), (64 * MIB, 8), (200 * MIB, 2))
#: Bytes of a file that may be followed: those of `uploads.engine.following` (a test holds them
#: together), less a last chunk that is shorter than it counts.
FOLLOWED_SIZE = 32 * MIB - max(_CHUNK_SIZES)
#: Below this, two made-up files might by chance be the same.
_SMALLEST = 16
#: Files that every run has, whatever the seed, by their numbers.
_EMPTY, _TINY, _LARGEST = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PlannedFault:
    number: int
    #: Seconds from the start.
    at: float
    kind: Fault
    #: What further choices come from.
    seed: str


@dataclass(frozen=True, slots=True)
class Job:
    """One file, and how its client sends it."""

    number: int
    file: MadeUpFile
    declared: Declared
    behaviour: Behaviour
    way: Way
    #: The first streams, in this order; what is left then goes in one.
    streams: tuple[Stream, ...]
    in_flight: int
    #: By the number of the chunk.
    mischief: dict[int, Mischief]
    #: Whether the completed file stays, to be read again after later faults.
    kept: bool
    seed: str

    @property
    def label(self) -> str:
        return f"file {self.number} ({self.file.size} bytes)"

    @property
    def flippable(self) -> bool:
        """Other bytes for a chunk are refused only while the chunk is in.

        And what is followed is read once: what a disk damages after that, while the server runs on,
        is content that rots, of which nothing is promised.
        """
        return self.file.size < FOLLOWED_SIZE and Mischief.CONFLICTING not in self.mischief.values()


def planned_faults(options: Options, *, full_disk: bool) -> list[PlannedFault]:
    """In the order of their moments. `full_disk`: whether the disk can be filled here."""
    rng = Random(f"{options.seed}/faults")
    weights = {k: n for k, n in _FAULTS.items() if full_disk or k is not Fault.FULL_DISK}
    faults: list[PlannedFault] = []
    deck: list[Fault] = []
    at = 0.5
    while at < options.seconds:
        in_tail = at > options.seconds - options.tail_seconds
        deck = deck or _shuffled(rng, weights)
        kind = deck.pop(0)
        if not (in_tail and kind in ENDING):
            seed = f"{options.seed}/fault/{len(faults)}"
            faults.append(PlannedFault(len(faults), at, kind, seed))
            at += rng.uniform(0.5, 1.5) / options.faults_per_second
    return faults


def _shuffled(rng: Random, weights: dict[Fault, int]) -> list[Fault]:
    """A round: each kind once first, so that short runs have all, then the others."""
    first = list(weights)
    others = [kind for kind, count in weights.items() for _ in range(count - 1)]
    rng.shuffle(first)
    rng.shuffle(others)
    return first + others


def planned_job(options: Options, number: int) -> Job:
    """The file with this number, the same however the run goes."""
    seed = f"{options.seed}/file/{number}"
    rng = Random(seed)
    chunk_size = rng.choice(_CHUNK_SIZES)
    behaviour = Behaviour.PLAIN
    size = _size(rng, options, number)
    if number > _LARGEST:
        behaviour = _dealt(options, number - _LARGEST - 1, "behaviour", _BEHAVIOURS)
    if behaviour is not Behaviour.PLAIN:
        # With one chunk there is nothing to share, and no part to stop after.
        size = max(size, rng.randint(chunk_size + 1, 5 * chunk_size))
    file = MadeUpFile(seed, size, chunk_size)
    way = _way(options, number, behaviour, size)
    card = 2 * _before(options, number, _WITH_CHUNKS)
    trouble = dict.fromkeys([*Mischief, None], 1)
    dealt = [_dealt(options, card + n, "mischief", trouble) for n in range(2)]
    return Job(
        number=number,
        file=file,
        declared=rng.choice(list(Declared)) if size else Declared.NEVER,
        behaviour=behaviour,
        way=way,
        streams=_streams(options, number),
        in_flight=rng.randint(1, 3),
        mischief=_mischief(rng, file.plan.total, dealt, at_start=behaviour in _PARTLY)
        if way in _WITH_CHUNKS
        else {},
        kept=rng.random() < 0.4,
        seed=seed,
    )


def _dealt(options: Options, number: int, what: str, weights: dict[T, int]) -> T:
    turn, place = divmod(number, sum(weights.values()))
    return _deck(options, turn, what, weights)[place]


def _deck(options: Options, turn: int, what: str, weights: dict[T, int]) -> list[T]:
    deck = [kind for kind, count in weights.items() for _ in range(count)]
    Random(f"{options.seed}/{what}/{turn}").shuffle(deck)
    return deck


def _way(options: Options, number: int, behaviour: Behaviour, size: int) -> Way:
    way = _dealt(options, _way_card(number), "way", _WAYS)
    # Without a size a session is known by its id alone, which no second client can find.
    if way is Way.SIZELESS and (behaviour is not Behaviour.PLAIN or not size):
        return Way.STREAMS
    return way


def _way_card(number: int) -> int:
    """The empty file has no chunk to make trouble with, so it takes no card."""
    return max(0, number - 1)


def _before(options: Options, number: int, ways: set[Way]) -> int:
    """How many files before this one go in one of these ways."""
    turn, place = divmod(_way_card(number), sum(_WAYS.values()))
    in_each = sum(_WAYS[way] for way in ways)
    return turn * in_each + sum(way in ways for way in _deck(options, turn, "way", _WAYS)[:place])


def _streams(options: Options, number: int) -> tuple[Stream, ...]:
    """Some kinds in an order of their own; each comes first in turn, for files of one stream."""
    before = _before(options, number, _WITH_STREAMS)
    first = _dealt(options, before, "stream", dict.fromkeys(Stream, 1))
    rng = Random(f"{options.seed}/streams/{number}")
    others = [kind for kind in Stream if kind not in {first, Stream.WHOLE}]
    return (first, *rng.sample(others, rng.randint(2, len(others))))


def _size(rng: Random, options: Options, number: int) -> int:
    fixed = {_EMPTY: 0, _TINY: _SMALLEST, _LARGEST: options.largest}
    if number in fixed:
        return fixed[number]
    if rng.random() < 0.02 and number > _LARGEST:
        return 0
    tops, weights = zip(*_SIZES, strict=True)
    [top] = rng.choices(tops, weights)
    top = min(top // options.size_divisor, options.largest)
    return rng.randint(max(_SMALLEST, top // 8), top)


def _mischief(
    rng: Random, total: int, dealt: list[Mischief | None], *, at_start: bool
) -> dict[int, Mischief]:
    """What was dealt for chunks in a row (`at_start`: from the first on), and whatever comes for a
    few others.

    Conflicts only where they are dealt, so that most files can be damaged: see `Job.flippable`.
    """
    if not total:
        return {}
    kinds: list[Mischief] = [kind for kind in Mischief if kind is not Mischief.CONFLICTING]
    count = min(rng.randint(0, max(1, total // 8)), 8)
    found: dict[int, Mischief] = {rng.randrange(total): rng.choice(kinds) for _ in range(count)}
    place = 0 if at_start else rng.randrange(total)
    for number, kind in enumerate(dealt[:total]):
        if kind:
            found[(place + number) % total] = kind
    return found
