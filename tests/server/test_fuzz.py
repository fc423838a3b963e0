"""Some twelve hundred hostile requests, always the same; `make fuzz` sends a hundred thousand."""

import pytest

from benchmarks.fuzz.mutations import Kind
from benchmarks.fuzz.options import Options
from benchmarks.fuzz.report import table, verdict
from benchmarks.fuzz.run import run

pytestmark = pytest.mark.server

SEED = 7


@pytest.mark.timeout(600)
def test_p10_no_request_is_an_error_and_no_refused_one_changes_anything() -> None:
    said: list[str] = []
    result = run(Options.short(SEED), said.append)
    story = "\n".join([*said, table(result), verdict(result)])
    assert not result.findings, story
    # A run that was refused at the door, or met a few addresses only, would prove little.
    assert {kind for kind, _ in result.kinds} == set(Kind), story
    assert {"native", "json_api", "parts", "chunked_upload", "form", "pages", "admin"} <= {
        group for group, _ in result.groups
    }, story
    assert result.groups["native", "2xx"] > 20, story
    assert len(result.codes) > 15, story
    assert result.again > 200, story
    assert result.slow_bytes, story
