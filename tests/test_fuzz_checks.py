"""The checks of the fuzz benchmark can fail: each is shown what it exists to find."""

import http.server
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from django.urls import resolve

from benchmarks.fuzz.addresses import addresses
from benchmarks.fuzz.client import Answer
from benchmarks.fuzz.judging import Judge
from benchmarks.fuzz.making import Ask, Maker
from benchmarks.fuzz.mutations import Kind
from benchmarks.fuzz.oracle import complaints, is_accepted, logged
from benchmarks.fuzz.people import NAMES
from benchmarks.fuzz.population import OWNERS, SENT, Person, Population, Upload
from benchmarks.fuzz.report import Finding, Result, table, verdict
from benchmarks.fuzz.state import changes, ids_in, look, unaccounted
from tests.support.bodies import SMALL_CHUNK, payload
from tests.support.server import Server

ID = "0d5af4ae-6c46-4a36-9b0a-0d0c1c8e2f11"
PROBLEM = {"status": 400, "code": "invalid_request", "type": "urn:x", "title": "x", "detail": "x"}


def ask(shape: str = "problem", *, method: str = "POST", may_break: bool = False) -> Ask:
    head = (
        f"{method} /api/v1/uploads/{ID}/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    )
    return Ask(1, Kind.HEADER, "native", shape, method, head.encode(), may_break, ends=False)


def answer(
    status: int, body: object = None, kind: str = "application/problem+json", **headers: str
) -> Answer:
    given = {"X-Request-ID": "x", "Content-Type": kind, "Cache-Control": "no-store", **headers}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(
        status,
        [(k.lower().replace("_", "-").encode(), v.encode("latin-1")) for k, v in given.items()],
        raw,
    )


PAGE = b"<title>There is nothing here \xe2\x80\x93 Holdfast</title>"


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ("problem", answer(400, PROBLEM)),
        ("problem", answer(200, {"id": ID})),
        ("detail", answer(400, {"detail": "x", "code": "no_file"}, "application/json")),
        ("page", answer(404, PAGE, "text/html; charset=utf-8")),
        ("page", answer(405, b"", "text/html", Allow="GET")),
        ("any", answer(404, PAGE, "text/html")),
        (
            "problem",
            answer(503, {**PROBLEM, "status": 503, "code": "unavailable"}, Retry_After="2"),
        ),
    ],
)
def test_an_answer_that_is_as_it_should_be_is_no_finding(shape: str, given: Answer) -> None:
    assert complaints(ask(shape), [given]) == []


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        ("page", answer(500, PAGE, "text/html"), "an error of the server"),
        ("problem", answer(503, {**PROBLEM, "status": 503}), "without Retry-After"),
        ("problem", answer(404, PAGE, "text/html"), "in no shape"),
        ("problem", answer(400, {**PROBLEM, "code": "made_up"}), "in no shape"),
        ("problem", answer(409, PROBLEM), "in no shape"),
        ("problem", answer(400, b"<h1>Bad Request (400)</h1>", "text/html"), "in no shape"),
        ("detail", answer(400, PROBLEM), "in no shape"),
        ("page", answer(400, b"<h1>Bad Request (400)</h1>", "text/html"), "in no shape"),
        ("page", answer(404, PAGE + b"Django Version", "text/html"), "Django Version"),
        ("page", answer(200, b"Traceback (most recent call last)", "text/plain"), "Traceback"),
        ("problem", answer(200, {}, Location="/\xff"), "bytes in the header"),
        ("problem", answer(200, {}, Location="a\x01b"), "bytes in the header"),
        ("problem", Answer(400, []), "by the HTTP server itself"),
    ],
)
def test_an_answer_that_is_wrong_is_found(shape: str, given: Answer, said: str) -> None:
    [sentence] = complaints(ask(shape), [given])
    assert said in sentence


def test_no_answer_is_found_unless_the_request_was_no_http() -> None:
    assert complaints(ask(), [])
    assert not complaints(ask(may_break=True), [])
    assert not complaints(ask(may_break=True), [Answer(400, [])])


def test_what_only_asks_and_what_is_sent_to_sign_in_was_not_accepted() -> None:
    cut_off = replace(ask(), data=b"PUT /upload/" + ID.encode())
    to_sign_in = answer(302, b"", Location="/sign-in/?next=/")
    assert is_accepted(ask(), [answer(200, {})])
    assert is_accepted(ask(may_break=True), [])
    assert not is_accepted(ask(), [answer(409, PROBLEM)])
    assert is_accepted(ask(), [answer(409, {**PROBLEM, "code": "session_failed"})])
    assert is_accepted(cut_off, [answer(400, {**PROBLEM, "detail": "9 bytes came and were kept"})])
    assert not is_accepted(ask(), [to_sign_in])
    assert not is_accepted(ask(method="GET"), [answer(200, {})])


def test_a_traceback_in_the_log_is_found() -> None:
    assert logged("x\nTraceback (most recent call last):\n")
    assert logged("2026-11-26 02:52:14,304 ERROR django.request [x]: Internal Server Error: /\n")
    assert logged("thread '<unnamed>' panicked at src/x.rs")
    assert not logged("2026-11-26 02:52:14,304 ERROR django.security.DisallowedHost [x]: y\n")
    assert not logged('2026-11-26 02:52:14,304 INFO uploads.requests [x]: {"code": "ERROR"}\n')


# --------------------------------------------------------------------------- rows and files


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one upload, of one row and one file."""
    with closing(sqlite3.connect(tmp_path / "holdfast.sqlite3")) as database, database:
        database.execute(
            "CREATE TABLE uploads_filesession (id char(32), status text, trashed_at text)"
        )
        database.execute("CREATE TABLE uploads_sessionevent (id integer, session_id char(32))")
        database.execute("CREATE TABLE uploads_accesstoken (name text, last_used_at text)")
        database.execute("INSERT INTO uploads_filesession VALUES (?, 'active', NULL)", [bare(ID)])
        database.execute("INSERT INTO uploads_accesstoken VALUES ('a', 'now')")
    folder = tmp_path / "uploads" / "staging" / ID
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(b"abc")
    (tmp_path / "server.log").touch()
    return tmp_path


def bare(upload_id: str) -> str:
    return upload_id.replace("-", "")


def change_row(data: Path, sql: str) -> None:
    with closing(sqlite3.connect(data / "holdfast.sqlite3", timeout=20)) as database, database:
        database.execute(sql)


def test_nothing_changed_is_no_change(data: Path) -> None:
    assert not changes(look(data), look(data))


def test_a_changed_row_a_new_row_and_one_that_is_gone_are_found(data: Path) -> None:
    for sql in (
        "UPDATE uploads_filesession SET status = 'failed'",
        "INSERT INTO uploads_accesstoken VALUES ('b', NULL)",
        "DELETE FROM uploads_filesession",
    ):
        before = look(data)
        change_row(data, sql)
        [change] = changes(before, look(data))
        assert unaccounted([change], set(), any_accepted=False) == [change]


def test_a_file_left_behind_one_that_is_gone_and_one_written_anew_are_found(data: Path) -> None:
    path = data / "uploads" / "staging" / ID / "data"
    for act in (
        lambda: path.with_name("incoming-1").touch(),
        lambda: path.write_bytes(b"xyz"),
        path.unlink,
    ):
        before = look(data)
        act()
        [change] = changes(before, look(data))
        assert change.ids == {bare(ID)}
        assert unaccounted([change], set(), any_accepted=False) == [change]


def test_a_change_is_accounted_for_by_who_named_its_upload_and_by_no_other(data: Path) -> None:
    before = look(data)
    change_row(data, "UPDATE uploads_filesession SET status = 'failed'")
    found = changes(before, look(data))
    assert not unaccounted(found, {bare(ID)}, any_accepted=True)
    assert unaccounted(found, {uuid4().hex}, any_accepted=True)


def test_what_was_deleted_before_may_go_for_good_at_any_time(data: Path) -> None:
    change_row(data, "UPDATE uploads_filesession SET trashed_at = 'a while ago'")
    before = look(data)
    change_row(data, "DELETE FROM uploads_filesession")
    assert not unaccounted(changes(before, look(data)), set(), any_accepted=False)


def test_who_names_an_upload_by_its_hash_accounts_for_all_that_is_about_it(data: Path) -> None:
    sha256 = "ab" * 32
    change_row(data, f"INSERT INTO uploads_sessionevent VALUES (1, '{bare(ID)}')")
    change_row(data, f"UPDATE uploads_filesession SET status = '{sha256}'")
    before = look(data)
    change_row(data, "DELETE FROM uploads_filesession")
    change_row(data, "DELETE FROM uploads_sessionevent")
    found = changes(before, look(data))
    assert not unaccounted(found, ids_in(sha256.encode()), any_accepted=True)
    assert unaccounted(found, set(), any_accepted=True) == found


@pytest.mark.parametrize(("later", "count"), [("10:00:59", 1), ("10:02:00", 0)])
def test_a_session_that_was_quiet_for_long_may_give_a_sign_of_life(
    data: Path, later: str, count: int
) -> None:
    change_row(data, "ALTER TABLE uploads_filesession ADD updated_at text")
    change_row(data, "UPDATE uploads_filesession SET updated_at = '2026-01-01 10:00:00'")
    before = look(data)
    change_row(data, f"UPDATE uploads_filesession SET updated_at = '2026-01-01 {later}'")
    assert len(changes(before, look(data))) == count
    change_row(data, "UPDATE uploads_filesession SET status = 'failed'")
    assert len(changes(before, look(data))) == 1


def test_when_a_token_was_used_last_is_no_change(data: Path) -> None:
    before = look(data)
    change_row(data, "UPDATE uploads_accesstoken SET last_used_at = 'later'")
    assert not changes(before, look(data))


def test_ids_are_found_with_dashes_and_without() -> None:
    assert ids_in(f"PUT /{ID}/x {bare(ID).upper()}".encode()) == {bare(ID)}


# --------------------------------------------------------------------------- the whole of it


class _Liar(http.server.BaseHTTPRequestHandler):
    """Refuses everything, and yet does something for whoever names the upload."""

    protocol_version = "HTTP/1.1"
    data: Path

    def do_POST(self) -> None:
        if ID in self.path:
            change_row(self.data, "UPDATE uploads_filesession SET status = status || 'x'")
        body = json.dumps(PROBLEM).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Request-ID", "x")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def liar(data: Path) -> Iterator[int]:
    """The port at which it listens."""
    handler = type("Liar", (_Liar,), {"data": data})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_p10_a_refused_request_that_changes_a_row_is_found_and_named(
    data: Path, liar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.fuzz.judging._SETTLE_SECONDS", 0.2)
    innocent = b"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    others = [
        Ask(n, Kind.SOUND, "native", "problem", "POST", innocent, may_break=False, ends=False)
        for n in (2, 3)
    ]
    result = Result(seed=5)
    with Judge(data, liar, 2, result, lambda _: None) as judge:
        assert judge.judged(others) == others
        assert not result.findings
        judge.judged([others[0], ask(), others[1]])
    [finding] = result.findings
    assert "a refused request changed" in finding.what
    assert finding.ask == ask()
    assert f"--seed 5 --only {ask().number}" in finding.shown(5)
    assert result.groups["native", "4xx"] == 5
    assert "FAILED" in verdict(result)


def test_the_table_counts_each_answer_once() -> None:
    result = Result(seed=1)
    for status in (200, 404, 404, None):
        result.count(ask(), status)
    assert "| native           | 4 | 1 | 0 | 2 | 0 | 0 | 1 |" in table(result)
    assert verdict(result) == "OK"
    result.findings.append(Finding("x"))
    assert not result.is_good


# --------------------------------------------------------------------------- requests


@pytest.fixture(scope="module")
def maker() -> Maker:
    return made(3)


def made(seed: int) -> Maker:
    """With uploads whose ids are always the same."""
    population = Population(Server.__new__(Server))
    population.people = {
        name: Person(name, n, f"hft_{name}", "hft_old", "s" * 32, "c" * 32, [n], [n])
        for n, name in enumerate(NAMES, 1)
    }
    population.uploads = {
        (owner, role): Upload(owner, role, ID, payload(SMALL_CHUNK + 300))
        for owner in OWNERS
        for role in SENT
    }
    return Maker(seed, population, addresses(), "localhost")


def test_the_same_seed_makes_the_same_requests_and_another_makes_others(maker: Maker) -> None:
    again, other = made(3), made(4)
    asks = [maker.ask(n) for n in range(300)]
    assert [again.ask(n) for n in range(300)] == asks
    assert [other.ask(n) for n in range(300)] != asks
    assert {ask.kind for ask in asks} == set(Kind) - {Kind.SCHEMA}


def test_every_address_of_the_site_is_led_to(maker: Maker) -> None:
    """Whatever is added to the urlconf: the path that is made for it ends at its own view."""
    root = Person("root", 3, "t", "t", "s", "c", [3], [3])
    # A regular expression may end where the path is not asked to.
    plain = [(address, path) for address, path in maker.places(root) if not address.regex]
    assert len(plain) > 60
    # Of two at the same path the first is the one that answers.
    for path, address in {path: address for address, path in reversed(plain)}.items():
        match = resolve(path)
        found = ":".join((*match.namespaces, match.url_name or ""))
        assert address.name == found or "(" in address.name, (address, path)
