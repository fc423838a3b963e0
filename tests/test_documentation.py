"""docs/api.md tells each refusal, address and limit as it is, and none of its code is untested."""

import re
from pathlib import Path

from tests.protocol.test_problem_shape import CLASSES
from tests.support.documents import ANSWERS, API_BLOCKS
from tests.support.server import REPOSITORY
from uploads import errors, urls
from uploads.conf import Config
from uploads.connections import IDLE_SECONDS
from uploads.core import plan
from uploads.core.filenames import MAX_FILENAME_LENGTH, MAX_FOLDER_DEPTH, MAX_FOLDER_LENGTH
from uploads.core.plan import KIB, MIB
from uploads.engine.tokens import MAX_USABLE
from uploads.protocols import bodies, chunked_upload, form, json_api, multipart
from uploads.protocols.fields import MAX_TEXT_LENGTH
from uploads.protocols.problems import status_of
from uploads.protocols.tus import answers

TEXT = (REPOSITORY / "docs" / "api.md").read_text()
CODE_OF_CHUNKED_UPLOAD = (REPOSITORY / "uploads" / "protocols" / "chunked_upload.py").read_text()
LANGUAGES = {"sh": {"sh"}, "python": {"py"}, "js": {"mjs"}}
#: Only raised as one of their subclasses.
ABSTRACT = {errors.SessionGone}
EXPECTED = {kind.code: kind for kind in CLASSES if kind not in ABSTRACT}


def section(heading: str) -> str:
    """What stands under the heading, up to the next one."""
    _, found, rest = TEXT.partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the table under the heading."""
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_p10_the_documented_refusals_are_those_of_the_code() -> None:
    told = [(code, status) for status, cell, *_ in rows("## Refusals") for code in codes(cell)]
    assert len(dict(told)) == len(told), "each code stands in the table once"
    expected = {code: str(status_of(kind)) for code, kind in EXPECTED.items()}
    assert dict(told) == expected


def test_the_documented_refusals_of_chunked_upload_are_those_of_its_table() -> None:
    _, *table = rows("### Refusals of chunked-upload")
    for statuses, cell, _ in table:
        for code in codes(cell):
            status = status_of(EXPECTED[code], chunked_upload.STATUSES)
            assert str(status) in statuses.split(", "), code
    told = {status for statuses, *_ in table for status in statuses.split(", ")}
    assert told == {str(status) for status in chunked_upload.STATUSES.values()}


def test_p10_the_documented_refusals_of_tus_are_those_that_differ() -> None:
    _, *table = rows("### Refusals of tus")
    told = {(code, status) for status, cell, _ in table for code in codes(cell)}
    statuses = {code: status_of(kind, answers.STATUSES) for code, kind in EXPECTED.items()}
    differ = {
        (code, str(status))
        for code, status in statuses.items()
        if status != status_of(EXPECTED[code])
    }
    assert told == differ


def test_the_words_of_chunked_upload_that_are_documented_are_those_of_the_code() -> None:
    phrases = [
        words for *_, cell in rows("### Refusals of chunked-upload") for words in spoken(cell)
    ]
    assert len(phrases) == 10
    for phrase in phrases:
        for words in re.split(r" ?…", phrase):
            assert words.strip("()") in CODE_OF_CHUNKED_UPLOAD, phrase


def spoken(cell: str) -> list[str]:
    """The phrases in it; fields and headers are no more than one word."""
    return [words for words in re.findall(r"`([^`]+)`", cell) if " " in words]


def test_every_block_of_code_is_run_or_is_said_to_be_no_program() -> None:
    assert TEXT.count("\n```") == 2 * len(API_BLOCKS), "a block without a language, or no block"
    for block in API_BLOCKS:
        if block.language in ANSWERS:
            assert not block.mark, block.text
            continue
        suffixes = {name.rpartition(".")[2] for name in block.programs}
        is_run = bool(block.programs) and suffixes <= LANGUAGES[block.language]
        assert is_run or block.mark == "first: sh", block.text


def test_every_program_of_the_document_has_a_test() -> None:
    tests = [REPOSITORY / folder / "test_api_examples.py" for folder in ("tests/server", "e2e")]
    text = "".join(path.read_text() for path in tests)
    programs = {name for block in API_BLOCKS for name in block.programs}
    assert {name for name in programs if f'"{name}"' not in text} == set()


def test_every_link_within_the_document_and_to_it_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    readme = (REPOSITORY / "README.md").read_text()
    linked = re.findall(r"\]\(#([^)]*)\)", TEXT) + re.findall(r"docs/api\.md#([^)]*)\)", readme)
    assert set(linked) <= slugs
    for path in re.findall(r"\]\(([^#)][^)#]*)", TEXT):
        assert (REPOSITORY / "docs" / path).exists(), path


def test_every_address_of_the_protocols_is_documented() -> None:
    for pattern in urls.urlpatterns:
        route = getattr(pattern.pattern, "_route", "")
        if route and route.startswith(("api/", "upload/", "uploads/se")):
            path = re.sub(r"<\w+:(?:session_)?(\w+)>", r"<\1>", f"/{route}")
            end = path.replace("/api/v1/uploads/<id>", "…")
            assert f"{path}`" in TEXT or f"{end}`" in TEXT, path


def test_the_documented_limits_are_those_of_the_code() -> None:
    config = Config(root=Path())
    told = section("## Limits")
    for figure in (
        f"| {config.max_file_size // 1024**4} TiB |",
        f"| {json_api.MAX_FILE_BYTES:,} bytes",
        f"{plan.MAX_CHUNKS * config.chunk_size / 1024**3:.1f} GiB",
        f"| {plan.MAX_CHUNKS:,}; chunks grow in steps of {plan.CHUNK_SIZE_STEP // KIB} KiB",
        f"| {plan.MIN_CHUNK_SIZE // KIB} KiB to {plan.MAX_CHUNK_SIZE // MIB} MiB, over JSON to "
        f"{json_api.MAX_CHUNK_BYTES // MIB} MiB; {config.chunk_size // MIB} MiB if",
        f"| {json_api.MAX_CHUNK_BODY_BYTES:,} bytes",
        f"| {bodies.MAX_JSON_BYTES // KIB} KiB |",
        f"| {multipart.MAX_OVERHEAD_BYTES // KIB} KiB (chunk), "
        f"{chunked_upload.MAX_OVERHEAD_BYTES // KIB} KiB (chunked-upload), "
        f"{form.MAX_OVERHEAD_BYTES // KIB} KiB (plain form)",
        f"| {MAX_FILENAME_LENGTH} characters; {MAX_FOLDER_LENGTH} characters and "
        f"{MAX_FOLDER_DEPTH} levels |",
        f"| {MAX_TEXT_LENGTH} characters |",
        f"| {config.max_requests_per_user} a process, then 429",
        f"| {config.max_bytes_per_user // 1024**3} GiB a process",
        f"| {config.max_readers} a process",
        f"| {json_api.MAX_DECODING} a process, 1 of each person; others wait",
        f"more than {json_api.MAX_WIDE_BYTES // MIB} MiB | ASCII",
        f"| {config.max_waiters} a process, then 202",
        f"| {chunked_upload.MAX_HASHING} a process, then 503",
        f"| {config.max_downloads} a process",
        f"| {IDLE_SECONDS:.0f} s, then",
        f"expires {config.session_hours} hours after",
        f"| {MAX_USABLE} a person",
    ):
        assert figure in told
    for key in re.findall(r"`([A-Z_]+)`", told.replace("`UPLOADS`", "")):
        assert hasattr(config, key.lower()), key
