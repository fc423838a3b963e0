"""docs/api.md tells every refusal and its status, and no other."""

import re

from tests.protocol.test_problem_shape import CLASSES
from tests.support.server import REPOSITORY
from uploads import errors
from uploads.protocols.problems import status_of

#: Only raised as one of their subclasses.
ABSTRACT = {errors.SessionGone}


def documented() -> dict[str, int]:
    """Code -> status of the table of refusals."""
    text = (REPOSITORY / "docs" / "api.md").read_text()
    _, _, refusals = text.partition("\n## Refusals\n")
    table, _, _ = refusals.partition("\n## ")
    rows = re.findall(r"^\| (\d{3}) \| ([^|]*) \|", table, re.MULTILINE)
    pairs = [(code, int(status)) for status, cell in rows for code in re.findall(r"`(\w+)`", cell)]
    assert len(dict(pairs)) == len(pairs), "each code stands in the table once"
    return dict(pairs)


def test_p10_the_documented_refusals_are_those_of_the_code() -> None:
    expected = {kind.code: status_of(kind) for kind in CLASSES if kind not in ABSTRACT}
    assert documented() == expected
