"""`make audit` never calls clean what it could not ask about."""

import json
from typing import Any

import pytest

from tests.support.audit import (
    CLEAN,
    FOUND,
    UNKNOWN,
    Findings,
    read_npm_audit,
    read_pip_audit,
    verdict,
)

SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
HOLE = {"name": "django", "version": "5.2.0", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
SKIPPED = {"name": "tqdm", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], CLEAN, "no hole is known"),
        ([SOUND, HOLE], FOUND, "django 5.2.0: PYSEC-2"),
        ([SOUND, SKIPPED], UNKNOWN, "NOT AUDITED"),
        ([HOLE, SKIPPED], FOUND, "NOT AUDITED"),
    ],
)
def test_what_pip_audit_skips_is_not_clean(
    packages: list[Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read_pip_audit(json.dumps({"dependencies": packages, "fixes": []}))
    assert verdict("requirements.txt", found) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"vulnerabilities": {}}, CLEAN),
        ({"vulnerabilities": {"jquery": {"severity": "high"}}}, FOUND),
        ({"message": "405 Method Not Allowed"}, UNKNOWN),
        ({"error": {"code": "ENOTFOUND"}}, UNKNOWN),
    ],
)
def test_an_answer_of_npm_that_is_an_error_is_not_clean(answer: dict[str, Any], code: int) -> None:
    assert verdict("package-lock.json", read_npm_audit(json.dumps(answer))) == code


def test_nothing_asked_is_not_clean() -> None:
    assert verdict("x", Findings(unknown=["no such program"])) == UNKNOWN
