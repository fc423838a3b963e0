"""Half a minute of every kind of fault, with a fixed seed; `make chaos` runs ten minutes."""

import pytest

from benchmarks.chaos.options import Options
from benchmarks.chaos.report import missing_kinds, table, verdict
from benchmarks.chaos.run import run

pytestmark = pytest.mark.server

SEED = 125


@pytest.mark.timeout(600)
def test_all_promises_hold_while_everything_fails() -> None:
    options = Options.short(SEED)
    said: list[str] = []
    result = run(options, said.append)
    story = "\n".join([*said, table(result), verdict(result, options)])
    assert not result.failures, story
    # Which kinds come is planned; that each finds its moment shows that the run was one.
    assert not missing_kinds(result), story
    assert result.counts["uploads completed"], story
