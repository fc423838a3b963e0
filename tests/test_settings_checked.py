"""settings.UPLOADS and the system checks: what cannot work is said before the first upload."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from uploads import checks, conf
from uploads.core.plan import MAX_CHUNK_SIZE, MIB, MIN_CHUNK_SIZE


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "ROOT"),
        ({"ROOT": None}, "ROOT"),
        ({"ROOT": "x", "CHUNKSIZE": 1}, "CHUNKSIZE"),
        ({"ROOT": "x", "CHUNK_SIZE": MIN_CHUNK_SIZE - 1}, "CHUNK_SIZE"),
        ({"ROOT": "x", "CHUNK_SIZE": MAX_CHUNK_SIZE + 1}, "CHUNK_SIZE"),
        ({"ROOT": "x", "MAX_READERS": 0}, "MAX_READERS"),
        ({"ROOT": "x", "PAGE_SIZE": "50"}, "PAGE_SIZE"),
        ({"ROOT": "x", "SESSION_HOURS": -1}, "SESSION_HOURS"),
        ({"ROOT": "x", "MEMORY_POOL": 1.5}, "MEMORY_POOL"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(given: dict[str, Any], named: str, settings: Settings) -> None:
    with pytest.raises(ImproperlyConfigured, match=named):
        conf.parse(given)
    settings.UPLOADS = given
    [error] = checks.check_settings()
    assert error.id == "uploads.E001"
    assert checks.check_one_file_system() == []


def test_the_defaults_are_those_of_the_documentation() -> None:
    config = conf.parse({"ROOT": "/x"})
    assert (config.root, config.chunk_size) == (Path("/x"), 5 * MIB)
    assert config.session_lifetime.total_seconds() == 48 * 3600
    assert config.memory_pool == 48 * MIB
    assert checks.check_settings() == []


def test_p5_atomic_requests_are_warned_of(settings: Settings) -> None:
    assert checks.check_atomic_requests() == []
    database = {**settings.DATABASES["default"], "ATOMIC_REQUESTS": True}
    settings_dict = {"default": database}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "settings", type("S", (), {"DATABASES": settings_dict}))
        [warning] = checks.check_atomic_requests()
    assert warning.id == "uploads.W001"


def test_two_file_systems_are_an_error(upload_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("staging", "content"):
        (upload_root / name).mkdir(parents=True)
    assert checks.check_one_file_system() == []

    def device(path: Path) -> object:
        return type("stat", (), {"st_dev": path.name})

    monkeypatch.setattr(checks.os, "stat", device)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "is_dir", lambda _: True)
        [error] = checks.check_one_file_system()
    assert error.id == "uploads.E002"
