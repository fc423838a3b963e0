"""The checks of the chaos benchmark can fail: each is shown what it exists to find."""

import errno
import hashlib
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from benchmarks.chaos.checks import leaked, leftovers
from benchmarks.chaos.control import Control, Saboteur
from benchmarks.chaos.damage import Orphans, flip_byte, flip_tail_byte
from benchmarks.chaos.files import MadeUpFile
from benchmarks.chaos.ledger import Failure, Ledger
from benchmarks.chaos.options import Options
from benchmarks.chaos.plan import (
    FOLLOWED_SIZE,
    Behaviour,
    Declared,
    Fault,
    Mischief,
    Stream,
    Way,
    planned_faults,
    planned_job,
)
from benchmarks.chaos.report import Result, missing_kinds, table, verdict
from benchmarks.chaos.streams import StreamSender
from benchmarks.chaos.traffic import Answer, Link
from benchmarks.chaos.world import World
from uploads.core.plan import KIB, MIB, ChunkPlan
from uploads.engine.database import KEPT
from uploads.engine.following import FOLLOW_FROM
from uploads.failpoints import Failpoint

PLAN = ChunkPlan(5 * KIB, KIB)


def test_what_may_be_followed_is_not_flipped() -> None:
    """Rows count whole chunks; the largest of a run has 1 MiB."""
    assert FOLLOWED_SIZE == FOLLOW_FROM - MIB


@pytest.fixture
def ledger() -> Ledger:
    """With one session, opened at 10, whose chunk 3 was acknowledged at 20."""
    ledger = Ledger()
    ledger.opened("s", "a file", PLAN, 10, flippable=True)
    ledger.acknowledged("s", 3, 19, 20)
    return ledger


def kinds(ledger: Ledger) -> list[str]:
    return [failure.what for failure in ledger.failures]


def test_p3_an_acknowledged_chunk_that_goes_missing_is_a_failure(ledger: Ledger) -> None:
    ledger.told_missing("s", [0, 1], asked=21)
    assert not ledger.failures
    ledger.told_missing("s", [0, 3], asked=21)
    assert kinds(ledger) == ["P3 acknowledged chunk lost"]


def test_what_was_acknowledged_after_the_question_may_be_missing_in_its_answer(
    ledger: Ledger,
) -> None:
    ledger.told_missing("s", [3], asked=19.5)
    assert not ledger.failures


def test_p4_one_damage_excuses_one_loss_of_that_chunk(ledger: Ledger) -> None:
    ledger.flipped("s", 3, 25)
    ledger.told_missing("s", [3], asked=30)
    assert not ledger.failures
    assert ledger.counts["chunks repaired"] == 1
    ledger.acknowledged("s", 3, 31, 32)
    ledger.told_missing("s", [3], asked=40)
    assert kinds(ledger) == ["P3 acknowledged chunk lost"]


def test_damage_to_one_chunk_excuses_no_other(ledger: Ledger) -> None:
    ledger.flipped("s", 2, 25)
    ledger.told_missing("s", [3], asked=30)
    assert kinds(ledger) == ["P3 acknowledged chunk lost"]


def test_a_session_that_vanishes_is_a_failure(ledger: Ledger) -> None:
    ledger.told_gone("s", 30)
    assert kinds(ledger) == ["live session gone"]


def test_a_cleanup_excuses_the_end_of_a_session_that_was_idle_only(ledger: Ledger) -> None:
    ledger.cleanup_began(5, 22).ended = 23
    ledger.told_gone("s", 30)
    assert kinds(ledger) == ["live session gone"]
    ledger.opened("t", "another file", PLAN, 10)
    ledger.told_gone("t", 30)
    assert len(ledger.failures) == 1


def test_a_cancelled_session_may_be_forgotten_only_by_a_cleanup(ledger: Ledger) -> None:
    ledger.ended("s", 25)
    ledger.told_gone("s", 26)
    assert not ledger.failures
    ledger.told_forgotten("s", 27)
    assert kinds(ledger) == ["cancelled session forgotten"]
    ledger.cleanup_began(5, 40).ended = 41
    ledger.told_forgotten("s", 42)
    assert len(ledger.failures) == 1


def test_a_session_that_had_expired_is_forgotten_when_it_is_cancelled(ledger: Ledger) -> None:
    ledger.cleanup_began(5, 26).ended = 27
    ledger.ended("s", 25)
    ledger.told_forgotten("s", 28)
    assert not ledger.failures


# Streams.


def test_p3_an_offset_that_goes_back_is_a_failure(ledger: Ledger) -> None:
    ledger.told_offset("s", KIB + 100, asked=21, now=22)
    ledger.told_offset("s", KIB + 100, asked=23, now=24)
    assert not ledger.failures
    ledger.told_offset("s", KIB + 99, asked=25, now=26)
    assert kinds(ledger) == ["P3 offset went back"]


def test_an_answer_to_an_earlier_question_may_tell_of_less(ledger: Ledger) -> None:
    ledger.told_offset("s", 2 * KIB, asked=22, now=23)
    ledger.told_offset("s", 100, asked=21, now=24)
    assert not ledger.failures


def test_p3_whole_chunks_below_an_offset_are_acknowledged(ledger: Ledger) -> None:
    ledger.told_offset("s", 2 * KIB + 100, asked=21, now=22)
    ledger.told_missing("s", [2], asked=23)
    assert not ledger.failures
    ledger.told_missing("s", [1, 2], asked=23)
    assert kinds(ledger) == ["P3 acknowledged chunk lost"]


def test_p4_a_damaged_tail_excuses_one_loss_of_that_tail(ledger: Ledger) -> None:
    ledger.tail_flipped("s", 1, 20)
    ledger.told_offset("s", KIB + 100, asked=31, now=32)
    ledger.told_offset("s", KIB, asked=33, now=34)
    assert not ledger.failures
    assert ledger.counts["tails asked for again"] == 1
    ledger.told_offset("s", KIB + 100, asked=41, now=42)
    ledger.told_offset("s", KIB, asked=43, now=44)
    assert kinds(ledger) == ["P3 offset went back"]


def test_a_damaged_tail_excuses_no_loss_of_a_chunk_nor_of_another_tail(ledger: Ledger) -> None:
    ledger.tail_flipped("s", 1, 20)
    ledger.told_offset("s", 2 * KIB + 100, asked=21, now=22)
    ledger.told_offset("s", 2 * KIB, asked=23, now=24)
    assert kinds(ledger) == ["P3 offset went back"]
    ledger.told_offset("s", KIB, asked=25, now=26)
    assert kinds(ledger)[1:] == ["P3 acknowledged chunk lost"]


def test_the_whole_of_the_last_chunk_may_be_a_tail(ledger: Ledger) -> None:
    ledger.opened("t", "another file", ChunkPlan(KIB + 10, KIB), 10)
    ledger.told_offset("t", KIB + 10, asked=11, now=12)
    ledger.told_missing("t", [1], asked=13)
    ledger.tail_flipped("t", 1, 13)
    ledger.told_offset("t", KIB, asked=14, now=15)
    assert not ledger.failures


def test_p4_a_damaged_chunk_sets_the_offset_back_to_it_and_no_further(ledger: Ledger) -> None:
    ledger.told_offset("s", 3 * KIB + 100, asked=21, now=22)
    ledger.flipped("s", 1, 23)
    ledger.told_offset("s", KIB, asked=24, now=25)
    assert not ledger.failures
    # Asked before the loss, and heard after it: no word of what is in now.
    ledger.told_offset("s", 3 * KIB + 100, asked=23, now=26)
    ledger.told_offset("s", KIB + 50, asked=27, now=28)
    assert not ledger.failures
    ledger.told_offset("s", KIB - 1, asked=29, now=30)
    assert kinds(ledger) == ["P3 acknowledged chunk lost"]


def test_a_chunk_that_was_in_before_is_no_news_of_the_session(ledger: Ledger) -> None:
    ledger.cleanup_began(5, 26).ended = 26
    ledger.acknowledged("s", 3, 25, 26, duplicate=True)
    ledger.told_gone("s", 30)
    assert not ledger.failures


def test_p4_of_two_streams_one_may_find_a_tail_damaged_that_the_other_has_read_before(
    ledger: Ledger,
) -> None:
    ledger.told_offset("s", KIB + 100, asked=31, now=32)
    ledger.tail_flipped("s", 1, 33.5)
    ledger.told_offset("s", 5 * KIB, asked=33, now=36)
    ledger.told_offset("s", KIB, asked=34, now=37)
    assert not ledger.failures
    assert ledger.counts["tails asked for again"] == 1


def test_an_offset_that_has_grown_is_news_of_the_session(ledger: Ledger) -> None:
    ledger.opened("t", "another file", PLAN, 10)
    for moment, offset in ((20, 100), (21, 200)):
        ledger.told_offset("t", offset, asked=moment, now=moment)
    ledger.cleanup_began(5, 23).ended = 23.9
    ledger.told_gone("t", 30)
    assert kinds(ledger) == ["live session gone"]


class ScriptedLink(Link):
    """A server that has all of a file once a stream has come, whatever it says."""

    def __init__(self, file: MadeUpFile, told: Answer) -> None:
        self._file, self._told = file, told
        self._was_sent = False

    def handshake(self, **fields: object) -> Answer:
        state, missing = ("completed", []) if self._was_sent else ("active", [0])
        session = {"id": "s", "status": "created", "state": state, "missing": missing}
        plan = {"chunk_size": self._file.chunk_size, "offset": 0, "sha256": self._file.sha256}
        return Answer(200, {**session, **plan}, 1)

    def look(self, session_id: str) -> Answer:
        return self.handshake()

    def offset(self, session_id: str) -> Answer:
        return Answer(200, {"offset": 0, "state": "active"}, 1)

    def stream(self, session_id: str, offset: int, body: object) -> Answer:
        self._was_sent = True
        return self._told


@pytest.mark.parametrize(
    ("status", "body", "failures"),
    [
        (200, {"offset": 5 * KIB}, []),
        (200, {"offset": 5 * KIB - 1}, ["stream taken in part"]),
        (400, {"code": "length_mismatch", "offset": 10}, ["good stream refused"]),
        (409, {"code": "chunk_conflict"}, ["good stream refused"]),
        (409, {"code": "offset_mismatch", "offset": 0}, []),
        (503, {}, []),
        (500, {}, ["good stream refused"]),
    ],
)
def test_a_stream_that_was_sent_whole_must_be_taken_whole_or_refused_for_a_reason(
    status: int, body: dict[str, object], failures: list[str]
) -> None:
    file = MadeUpFile("seed", 5 * KIB, 5 * KIB)
    link = ScriptedLink(file, Answer(status, body, 2))
    world = World(Options(seed=1), [link])
    job = replace(planned_job(world.options, 1), file=file, way=Way.STREAMS, streams=())
    assert StreamSender(world, job, link, "key", Declared.NEVER, in_slot=False).send()
    assert kinds(world.ledger) == failures


# The folder and the database at the end.


class Store:
    """A data folder with as much of a database as the checks look at."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._execute("CREATE TABLE uploads_filesession (id, status, stored_file_id)")
        self._execute("CREATE TABLE uploads_storedfile (id, sha256, size, state)")

    def add_session(self, status: str, stored: str | None = None) -> None:
        self._execute(
            "INSERT INTO uploads_filesession VALUES (?, ?, ?)", uuid4().hex, status, stored
        )

    def add_content(self, data: bytes, state: str = "live", *, referred: bool = True) -> Path:
        content_id, sha256 = uuid4(), hashlib.sha256(data).hexdigest()
        self._execute(
            "INSERT INTO uploads_storedfile VALUES (?, ?, ?, ?)",
            content_id.hex,
            sha256,
            len(data),
            state,
        )
        if referred:
            self.add_session("completed", content_id.hex)
        path = self.data / "uploads" / "content" / sha256 / str(content_id)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        return path

    def _execute(self, sql: str, *values: object) -> None:
        with closing(sqlite3.connect(self.data / "holdfast.sqlite3")) as database, database:
            database.execute(sql, values)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_sound_content_and_ended_sessions_are_no_leftovers(store: Store) -> None:
    store.add_content(b"sound")
    store.add_session("cancelled")
    assert leftovers(store.data) == []


@pytest.mark.parametrize("state", ["pending", "deleting", "damaged"])
def test_content_on_its_way_is_a_leftover(store: Store, state: str) -> None:
    store.add_content(b"bytes", state)
    assert state in leftovers(store.data)[0]


@pytest.mark.parametrize("status", ["active", "assembling"])
def test_an_open_session_is_a_leftover(store: Store, status: str) -> None:
    store.add_session(status)
    assert status in leftovers(store.data)[0]


def test_a_staging_folder_is_a_leftover(store: Store) -> None:
    (store.data / "uploads" / "staging" / "some-id").mkdir(parents=True)
    assert "some-id" in leftovers(store.data)[0]


def test_content_with_other_bytes_is_found(store: Store) -> None:
    store.add_content(b"right").write_bytes(b"wrong")
    assert "other bytes" in leftovers(store.data)[0]


def test_content_that_is_missing_is_found(store: Store) -> None:
    store.add_content(b"bytes").unlink()
    found = leftovers(store.data)
    assert any("its file is missing" in sentence for sentence in found)
    assert any("empty folder" in sentence for sentence in found)


def test_content_without_a_row_is_found(store: Store) -> None:
    path = store.add_content(b"bytes")
    path.with_name(str(uuid4())).write_bytes(b"bytes")
    assert "has no row" in leftovers(store.data)[0]


def test_content_that_nobody_has_is_found(store: Store) -> None:
    store.add_content(b"bytes", referred=False)
    assert "no session refers to it" in leftovers(store.data)[0]


def test_a_descriptor_of_an_upload_that_stays_open_is_a_leak() -> None:
    before = Counter({"socket": 4})
    assert leaked(before, Counter({"socket": 5})) == []
    assert leaked(before, Counter({"socket": 4, "staging": 1})) != []
    assert leaked(before, Counter({"socket": 40})) != []
    assert leaked(before, Counter({"database log": 2 * KEPT, "database": 100})) == []
    assert leaked(before, Counter({"database log": 2 * KEPT + 1})) != []


# The faults.


def test_a_flipped_byte_is_entered_in_the_ledger_and_is_one_byte(
    tmp_path: Path, ledger: Ledger
) -> None:
    data = tmp_path / "s" / "data"
    data.parent.mkdir()
    data.write_bytes(bytes(PLAN.size))
    assert flip_byte(ledger, tmp_path, Random(1))
    changed = [place for place, byte in enumerate(data.read_bytes()) if byte]
    assert [place // KIB for place in changed] == [3]
    ledger.told_missing("s", [3], asked=2**40)
    assert not ledger.failures


def test_nothing_is_flipped_without_a_chunk_to_flip(tmp_path: Path) -> None:
    assert not flip_byte(Ledger(), tmp_path, Random(1))


@pytest.fixture
def tail(tmp_path: Path, ledger: Ledger) -> Path:
    """Of 100 bytes, of chunk 1 of a session that the ledger has an account of."""
    session_id = uuid4()
    ledger.opened(str(session_id), "a file", PLAN, 10, flippable=True)
    with closing(sqlite3.connect(tmp_path / "holdfast.sqlite3")) as database, database:
        database.execute(
            "CREATE TABLE uploads_filesession (id, status, received, tail_name, tail_length)"
        )
        database.execute(
            "INSERT INTO uploads_filesession VALUES (?, 'active', ?, 'x', 100)",
            (session_id.hex, b"\x01"),
        )
    path = tmp_path / "uploads" / "staging" / str(session_id) / "tail-x"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(100))
    return path


def test_a_flipped_byte_of_a_tail_is_entered_in_the_ledger_and_is_one_byte(
    tmp_path: Path, ledger: Ledger, tail: Path
) -> None:
    assert flip_tail_byte(ledger, tmp_path, Random(1))
    assert sum(byte != 0 for byte in tail.read_bytes()) == 1
    session_id = tail.parent.name
    assert ledger.was_damaged(session_id)
    ledger.told_offset(session_id, KIB + 100, asked=11, now=12)
    ledger.told_offset(session_id, KIB, asked=13, now=14)
    assert not ledger.failures


def test_a_tail_that_is_shorter_than_its_row_says_is_a_failure(
    tmp_path: Path, ledger: Ledger, tail: Path
) -> None:
    tail.write_bytes(bytes(99))
    assert not flip_tail_byte(ledger, tmp_path, Random(1))
    assert kinds(ledger) == ["P3 tail shorter than it was told"]


def test_no_tail_is_flipped_of_a_session_that_has_ended(
    tmp_path: Path, ledger: Ledger, tail: Path
) -> None:
    ledger.finished(tail.parent.name)
    assert not flip_tail_byte(ledger, tmp_path, Random(1))
    assert not any(tail.read_bytes())


def test_orphans_that_stay_and_new_ones_that_go_are_failures(
    tmp_path: Path, ledger: Ledger
) -> None:
    orphans = Orphans(tmp_path)
    assert orphans.plant(Random(1))
    [old] = orphans.old()
    orphans.check(ledger, [old])
    assert kinds(ledger) == ["orphan not removed"]
    shutil.rmtree(tmp_path)
    orphans.check(ledger, [])
    assert kinds(ledger)[1:] == ["new folder removed"] * 2


def test_errors_are_raised_where_they_were_asked_for(tmp_path: Path) -> None:
    control, saboteur = Control(tmp_path), Saboteur(tmp_path)
    saboteur(Failpoint.CHUNK_WRITE)
    control.inject("disk-errors", [Failpoint.CHUNK_WRITE], 1.0, errno.EIO)
    saboteur(Failpoint.DATA_SYNC)
    with pytest.raises(OSError, match="Input/output error"):
        saboteur(Failpoint.CHUNK_WRITE)
    control.clear()
    saboteur(Failpoint.CHUNK_WRITE)
    assert control.errors_raised == 1


def test_a_crash_happens_once_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr("os.kill", lambda _, how: killed.append(how))
    control, saboteur = Control(tmp_path), Saboteur(tmp_path)
    control.arm_crash([Failpoint.CHUNK_RECORD], skip=1)
    for _ in range(4):
        saboteur(Failpoint.CHUNK_WRITE)
        saboteur(Failpoint.CHUNK_RECORD)
    assert killed == [signal.SIGKILL]
    assert control.crashed_at() == "chunk.record"
    assert control.crashed_at() is None


# The plan.


def test_the_same_seed_plans_the_same() -> None:
    options = Options(seed=7)
    assert planned_faults(options, full_disk=True) == planned_faults(options, full_disk=True)
    assert planned_job(options, 12) == planned_job(options, 12)
    assert planned_job(options, 12) != planned_job(Options(seed=8), 12)


def test_ten_minutes_have_five_hundred_faults_of_all_kinds() -> None:
    faults = planned_faults(Options(seed=7), full_disk=True)
    assert len(faults) >= 500
    assert {fault.kind for fault in faults} == set(Fault)


def test_the_short_run_has_all_kinds_too() -> None:
    options = Options.short(seed=7)
    assert {fault.kind for fault in planned_faults(options, full_disk=True)} == set(Fault)
    jobs = [planned_job(options, number) for number in range(20)]
    assert {kind for job in jobs for kind in job.mischief.values()} == set(Mischief)
    assert {job.behaviour for job in jobs} == set(Behaviour)
    streamed = [job for job in jobs if job.way is not Way.CHUNKS]
    assert {job.streams[0] for job in streamed} == set(Stream)
    assert {job.way for job in jobs} == set(Way)


def test_files_are_from_nothing_to_the_largest() -> None:
    options = Options(seed=7)
    sizes = [planned_job(options, number).file.size for number in range(300)]
    assert (min(sizes), max(sizes)) == (0, options.largest)


def test_a_made_up_file_is_the_same_in_chunks_in_slices_and_by_its_hash() -> None:
    file = MadeUpFile("seed", 2500, 1000)
    whole = b"".join(file.chunk(index) for index in range(3))
    assert (len(whole), hashlib.sha256(whole).hexdigest()) == (2500, file.sha256)
    assert file.slice(900, 2100) == whole[900:2100]
    assert b"".join(file.pieces(900, 2100)) == whole[900:2100]


# The report.


def test_a_failure_is_told_with_what_to_replay() -> None:
    result = Result(seed=5, seconds=600)
    options = Options(seed=5)
    assert verdict(result, options) == "OK"
    result.failures.append(Failure("P1 wrong content", "file 3"))
    assert not result.is_good
    assert "file 3" in verdict(result, options)
    assert "--seed 5" in verdict(result, options)


def test_a_kind_that_never_happened_is_named_unless_it_cannot_happen_here() -> None:
    result = Result(seed=5, seconds=600, faults={Fault.CUT: 1})
    result.impossible[Fault.FULL_DISK] = "no disk"
    missing = missing_kinds(result)
    assert Fault.KILL_SERVER in missing
    assert Mischief.CUT in missing
    assert Stream.TWO in missing
    assert not {Fault.CUT, Fault.FULL_DISK} & set(missing)
    assert "impossible here: no disk" in table(result)
