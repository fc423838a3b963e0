"""`make bench` reckons and shows what it has measured as it is. Nothing is timed here."""

import hashlib
import http.server
import io
import json
import re
import socket
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from benchmarks.comparison import bare, loads, room
from benchmarks.comparison.__main__ import main
from benchmarks.comparison.chart import bars, scale_step, svg
from benchmarks.comparison.cleaning import growth_after_first_quarter
from benchmarks.comparison.contestants import HOLDFAST, OTHER, Contestant, Field
from benchmarks.comparison.figures import MIB, Spread, rate
from benchmarks.comparison.ingest import chunked_upload, declared_blake3_or_none
from benchmarks.comparison.installing import OTHERS
from benchmarks.comparison.machine import versions
from benchmarks.comparison.payload import Payload
from benchmarks.comparison.publishing import BEGIN, DOCUMENT, END, as_text, publish, renewed
from benchmarks.comparison.rounds import rates
from benchmarks.comparison.run import NAMES, Options, Result
from benchmarks.comparison.servers import running
from benchmarks.comparison.tables import rows_table, servers_table
from benchmarks.comparison.verdicts import NotHere, Row, at_least, at_most, measured, unmeasured
from benchmarks.comparison.wire import Connection, Refused, Request
from tests.support.server import REPOSITORY, free_port
from tests.support.waiting import wait_until

KIB = 1024
SVG = "{http://www.w3.org/2000/svg}"


def contestant(key: str, send: Callable[[Payload], float] = lambda _: 1.0) -> Contestant:
    group = HOLDFAST if key.startswith("native") else OTHER
    return Contestant(key, f"{key} & <co>", group, "nothing | much", send)


def field_of(*keys: str, absent: dict[str, str] | None = None) -> Field:
    return Field({key: contestant(key) for key in keys}, absent or {})


def result(**given: Any) -> Result:
    there = [contestant("native-none"), contestant("nginx")]
    seen = {"native-none": Spread((150.0, 100.0, 200.0)), "nginx": Spread((900.0,))}
    known = dict.fromkeys(("processor", "cores", "memory", "system", "python"), "of a test")
    rows = [Row("ingest", (at_least("ours : theirs", 0.5, 0.8),), "a note")]
    made: dict[str, Any] = {"contestants": there, "rates": seen, "rows": rows, **given}
    return Result(5, 256 * MIB, "2026-01-01", known, {"nginx": "1.0"}, **made)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def cells(table: str) -> list[list[str]]:
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return [[cell.strip() for cell in line] for line in lines]


# Verdicts


@pytest.mark.parametrize(
    ("condition", "reached", "verdict"),
    [
        (at_least("x", 0.8, 0.8), True, "reached"),
        (at_least("x", 0.7999, 0.8), False, "short by 0.00, 0% of the bound"),
        (at_least("x", 0.4, 0.8), False, "short by 0.40, 50% of the bound"),
        (at_most("x", 200, 200, "ms", 0), True, "reached"),
        (at_most("x", 1083, 200, "ms", 0), False, "short by 883 ms, 442% of the bound"),
        (unmeasured(at_most("x", 0, 200), "no room"), None, "not measured: no room"),
    ],
)
def test_a_figure_at_its_bound_is_reached_and_one_beyond_it_is_not(
    condition: Any, reached: bool | None, verdict: str
) -> None:
    assert (condition.reached, condition.verdict) == (reached, verdict)


def test_a_row_is_reached_only_when_each_of_its_figures_is() -> None:
    good, bad = at_least("x", 2, 1), at_least("x", 0, 1)
    unknown = unmeasured(good, "absent")
    assert Row("r", (good, good)).reached is True
    assert Row("r", (good, bad, unknown)).reached is False
    assert Row("r", (good, unknown)).reached is None
    assert Row("r", ()).reached is None, "one that broke off"


def test_what_is_not_here_leaves_a_row_that_says_so() -> None:
    def work() -> Row:
        raise NotHere("no nginx")

    row = measured("r", [at_most("a", 0, 1), at_least("b", 0, 2)], work)
    assert [condition.verdict for condition in row.conditions] == ["not measured: no nginx"] * 2


def test_of_two_ways_the_slower_counts() -> None:
    field = field_of("native-blake3", "native-none", "tus-server-one", "bare-write")
    seen = {
        "native-blake3": Spread((300.0,)),
        "native-none": Spread((500.0, 400.0, 450.0)),
        "tus-server-one": Spread((200.0,)),
        "bare-write": Spread((1000.0,)),
    }
    row = declared_blake3_or_none(field, seen)
    assert [condition.seen for condition in row.conditions] == [1.5, 0.3]
    assert "BLAKE3" in row.note


def test_a_ratio_to_somebody_absent_is_not_measured() -> None:
    field = field_of("native-verified", absent={"django-chunked-upload": "no network"})
    row = chunked_upload(field, {"native-verified": Spread((1.0,))})
    assert row.reached is None
    assert "no network" in rows_table([row])


# Figures


def test_medians_and_spread_are_those_of_all_samples() -> None:
    spread = Spread.of([3.0, 1.0, 2.0, 10.0])
    assert (spread.median, spread.low, spread.high) == (2.5, 1.0, 10.0)
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_rounds_go_there_and_back_and_the_warm_up_does_not_count() -> None:
    sent: list[tuple[str, int]] = []

    def sender(key: str, seconds: float) -> Callable[[Payload], float]:
        def send(payload: Payload) -> float:
            sent.append((key, payload.size))
            return seconds

        return send

    pair = [contestant("a", sender("a", 0.5)), contestant("b", sender("b", 2.0))]
    seen = rates(pair, 4 * MIB, 3, lambda _: None)
    assert [key for key, size in sent if size == 4 * MIB] == ["a", "b", "b", "a", "a", "b"]
    assert [key for key, _ in sent[:2]] == ["a", "b"]
    assert seen["a"].samples == (8.0,) * 3
    assert seen["b"].samples == (rate(4 * MIB, 2.0),) * 3


def test_memory_that_grows_late_is_seen() -> None:
    assert growth_after_first_quarter([10, 40, 41, 42, 41, 40, 41, 40]) == 2
    assert growth_after_first_quarter([10, 20, 30, 40, 50, 60, 70, 80]) == 60
    assert growth_after_first_quarter([10]) == 0


def test_without_room_in_memory_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MEMORY", tmp_path)
    with pytest.raises(NotHere, match="needs 1048576 GiB"):
        room.require(1024**5, "a file too many")


# What is sent


def test_digests_are_of_the_bytes_that_are_sent(tmp_path: Path) -> None:
    payload = Payload(2 * MIB + 7, MIB)
    content = b"".join(payload.parts())
    assert payload.write_to(tmp_path / "file").read_bytes() == content
    assert len(content) == payload.size
    assert payload.sha256 == hashlib.sha256(content).hexdigest()
    assert payload.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    cut = [content[at : at + MIB] for at in range(0, len(content), MIB)]
    assert payload.sha256_of_chunks == [hashlib.sha256(chunk).digest() for chunk in cut]
    assert payload.blake3_of_chunks == [blake3(chunk).digest() for chunk in cut]
    assert [chunk.offset for chunk in payload.chunks] == [0, MIB, 2 * MIB]


def test_no_two_chunks_and_no_two_files_are_alike() -> None:
    chunks = [*Payload(3 * MIB, MIB).chunks, *Payload(3 * MIB, MIB).chunks]
    assert len({chunk.joined() for chunk in chunks}) == 6


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers a PUT with the SHA-256 of its body; refuses everything below /refused."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode()
        self.send_response(403 if self.path.startswith("/refused") else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_parts_of_a_request_arrive_as_one_body_over_and_over(port: int) -> None:
    payload = Payload(20 * KIB, 8 * KIB)
    with Connection(port) as connection:
        for parts in (tuple(payload.parts()), (b"small", b"parts"), (), (bytes(9000), b"end")):
            answer = connection.ask(Request("PUT", "/", {"X-Some": "header"}, parts))
            assert answer.body.decode() == hashlib.sha256(b"".join(parts)).hexdigest()


def test_each_request_is_sent_once_however_many_connections_there_are(port: int) -> None:
    chunks = Payload(10 * KIB, KIB).chunks
    requests = [Request("PUT", f"/{chunk.index}", parts=chunk.parts) for chunk in chunks]
    times = loads.send(port, requests, at_once=3)
    assert times.begun < times.sent < times.answered


def test_a_refusal_is_not_measured_as_if_it_were_a_success(port: int) -> None:
    with pytest.raises(Refused, match="PUT /refused was answered 403"):
        loads.send(port, [Request("PUT", "/"), Request("PUT", "/refused")], at_once=2)


def test_what_is_paced_goes_no_faster_and_makes_no_haste_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    pace = loads.Pace(rate=10.0)
    moments = []
    for length in (20, 20, 20):
        pace.wait(length)
        moments.append(now)
    now += 50
    for length in (20, 20):
        pace.wait(length)
        moments.append(now)
    assert moments == [100, 102, 104, 154, 156]


@pytest.mark.parametrize("work", ["hash", "write"])
def test_the_bare_app_writes_what_it_reads_at_its_place(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bare.FOLDER, str(tmp_path))
    payload = Payload(300 * KIB, 200 * KIB)
    for chunk in reversed(payload.chunks):
        environ = {
            "PATH_INFO": f"/{work}/file/{chunk.offset}",
            "CONTENT_LENGTH": str(chunk.length),
            "wsgi.input": io.BytesIO(chunk.joined()),
        }
        [answer] = bare.application(environ, lambda *_: None)
        if work == "hash":
            assert answer.decode() == hashlib.sha256(chunk.joined()).hexdigest()
    assert (tmp_path / "file").read_bytes() == b"".join(payload.parts())


# What is shown


def test_the_table_of_servers_says_what_each_checks_and_who_is_not_here() -> None:
    found = result(absent={"copyparty": "no network\nat all"})
    header, rule, *lines = cells(servers_table(found.entries))
    assert header == ["what", "checks", "MiB/s, median", "lowest to highest"]
    assert set("".join(rule)) <= set("-:")
    assert lines == [
        ["native-none & <co>", "nothing \\| much", "150", "100 to 200"],
        ["nginx & <co>", "nothing \\| much", "900", "900 to 900"],
        ["copyparty", "-", "-", "not here: no network at all"],
    ]


def test_each_figure_of_a_row_has_a_line_and_one_that_broke_off_has_one_too() -> None:
    two = (at_most("time", 5.1, 20, "ms", 1), at_most("answer", 70, 64, "KB", 1))
    _, _, *lines = cells(
        rows_table([Row("asking", two, "medians"), Row("broken", (), "broke off")])
    )
    assert lines == [
        ["asking", "**short**", "time: ≤ 20 ms", "5.1 ms", "reached", "medians"],
        ["", "", "answer: ≤ 64 KB", "70.0 KB", "short by 6.0 KB, 9% of the bound", ""],
        ["broken", "**open**", "", "-", "", "broke off"],
    ]


def test_the_chart_has_a_bar_for_each_the_fastest_first_and_as_long_as_it_is_fast() -> None:
    found = result()
    tree = ET.fromstring(svg(bars(found.contestants, found.rates), "a & b"))
    widths = [
        float(rect.get("width", ""))
        for rect in tree.iter(f"{SVG}rect")
        if rect.get("height") == "16"
    ]
    assert widths[0] / widths[1] == pytest.approx(900 / 150, rel=1e-3)
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert texts.index("nginx & <co>") < texts.index("native-none & <co>")
    assert "prefers-color-scheme: dark" in "".join(tree.itertext())


@pytest.mark.parametrize(("top", "step"), [(7, 1), (8.5, 2), (900, 200), (1600, 200), (1601, 500)])
def test_the_scale_has_round_figures(top: float, step: float) -> None:
    assert scale_step(top) == step


def test_what_stands_around_the_figures_in_a_document_stays() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = renewed(document, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert renewed(once, "new") == once
    for broken in ("nothing", BEGIN, f"{END} {BEGIN}"):
        with pytest.raises(ValueError, match="no place"):
            renewed(broken, "new")


def test_a_whole_run_is_published_as_it_was(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(f"{BEGIN}{END}")
    found = result()
    publish(found, document, tmp_path / "figures")
    assert as_text(found) in document.read_text()
    data = json.loads((tmp_path / "figures" / "results.json").read_text())
    assert data["servers"][0]["mib_per_second"]["samples"] == [150.0, 100.0, 200.0]
    [row] = data["rows"]
    assert (row["reached"], row["conditions"][0]["at_least"]) == (False, 0.8)
    assert (tmp_path / "figures" / "chart.svg").read_text().startswith("<svg")


def test_only_a_run_of_all_rows_and_enough_rounds_is_published() -> None:
    assert Options().is_whole
    assert Options(rounds=7).is_whole
    assert not Options(rounds=4).is_whole
    assert not Options(names=NAMES[1:]).is_whole


def test_a_row_that_there_is_not_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["comparison", "--rows", "tus,speed"])
    with pytest.raises(SystemExit):
        main()
    assert f"there is no row speed; there are {', '.join(NAMES)}" in capsys.readouterr().err


def test_the_document_has_a_place_for_the_figures() -> None:
    assert renewed(DOCUMENT.read_text(), "new")


# Who is measured


def test_a_server_behind_a_launcher_ends_with_it(tmp_path: Path) -> None:
    port = free_port()
    serve = f"{sys.executable} -m http.server --bind 127.0.0.1 {port} & wait"
    with running(["sh", "-c", serve], port, tmp_path):
        assert not is_free(port)
    wait_until(lambda: is_free(port), "the end of what was launched")


def test_a_server_that_does_not_start_is_not_here_and_what_it_said_is_told(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such option; exit 3"]
    refused = pytest.raises(NotHere, match="ended with 3: no such option")
    with refused, running(command, free_port(), tmp_path):
        pass


def test_the_others_are_installed_in_versions_that_are_named() -> None:
    package = json.loads((OTHERS / "package.json").read_text())
    lock = json.loads((OTHERS / "package-lock.json").read_text())["packages"]
    for name, version in package["dependencies"].items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in entry for path, entry in lock.items() if path)
    assert {"@tus/server", "django-chunked-upload", "copyparty"} <= set(versions())


def test_django_chunked_upload_has_the_django_and_the_server_that_this_project_has() -> None:
    def pinned(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w-]+)==(\S+)$", path.read_text(), re.MULTILINE))

    ours = pinned(REPOSITORY / "requirements.txt")
    theirs = pinned(OTHERS / "django_chunked_upload.txt")
    shared = {name: ours[name] for name in theirs if name in ours}
    assert {"Django", "granian"} <= set(shared)
    assert {name: theirs[name] for name in shared} == shared
