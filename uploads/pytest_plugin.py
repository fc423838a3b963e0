"""Fixtures for projects that test with pytest and pytest-django."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uploads import conf
from uploads.testing import complete_upload


@pytest.fixture
def completed_upload(db: None, settings: Any, tmp_path: Path) -> Callable[..., str]:
    """`completed_upload(user, b"content", form=ReportForm, field="report")`: the id to submit.

    The uploads of this test lie in a folder of its own. See `uploads.testing.complete_upload`.
    """
    setattr(settings, conf.SETTING, conf.given(ROOT=tmp_path / "uploads"))
    return complete_upload
