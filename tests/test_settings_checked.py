"""settings.UPLOADS: what cannot be right is said, by its name, before the first upload."""

from pathlib import Path
from typing import Any

import pytest
from config.guards import guards
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from uploads import conf
from uploads.checks import folders
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
        ({"ROOT": "x", "ALLOWED_EXTENSIONS": "pdf"}, "ALLOWED_EXTENSIONS"),
        ({"ROOT": "x", "DENIED_EXTENSIONS": [1]}, "DENIED_EXTENSIONS"),
        ({"ROOT": "x", "CHECK_CONTENT": "no"}, "CHECK_CONTENT"),
        ({"ROOT": "x", "QUOTA_BYTES": -1}, "QUOTA_BYTES"),
        ({"ROOT": "x", "QUOTA_UPLOADS": "10"}, "QUOTA_UPLOADS"),
        ({"ROOT": "x", "GROUP_QUOTAS": {"a": 5}}, "GROUP_QUOTAS"),
        ({"ROOT": "x", "GROUP_QUOTAS": {"a": {"SIZE": 5}}}, "GROUP_QUOTAS"),
        ({"ROOT": "x", "GROUP_QUOTAS": {"a": {"BYTES": 1.5}}}, "GROUP_QUOTAS"),
        *(
            ({"ROOT": "x", "ACCEL_PREFIX": prefix}, "ACCEL_PREFIX")
            for prefix in ("/", "content/", "/content", "//x/", "/x/../", "/a b/", "/x?/", None, 1)
        ),
        *(
            ({"ROOT": "x", "DOWNLOAD_ORIGIN": origin}, "DOWNLOAD_ORIGIN")
            for origin in (
                "content.test",
                "https://content.test/",
                "https://Content.test",
                "ftp://content.test",
                "https://user@content.test",
                "https://content.test:port",
                "https://content.test?x",
                "https://",
                "https://[::1",
                None,
            )
        ),
        ({"ROOT": "x", "CORS_ORIGINS": "https://app.example"}, "CORS_ORIGINS"),
        ({"ROOT": "x", "CORS_ORIGINS": [1]}, "CORS_ORIGINS"),
        ({"ROOT": "x", "VALIDATORS": "a.b"}, "VALIDATORS"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(given: dict[str, Any], named: str, settings: Settings) -> None:
    with pytest.raises(ImproperlyConfigured, match=named):
        conf.parse(given)
    settings.UPLOADS = given
    [error] = folders.check_settings()
    assert error.id == "uploads.E001"


def test_the_defaults_are_those_of_the_documentation() -> None:
    config = conf.parse({"ROOT": "/x"})
    assert (config.root, config.chunk_size) == (Path("/x"), 5 * MIB)
    assert config.session_lifetime.total_seconds() == 48 * 3600
    assert config.memory_pool == 48 * MIB
    assert folders.check_settings() == []


def test_extensions_are_the_same_however_they_are_written() -> None:
    config = conf.parse({"ROOT": "/x", "ALLOWED_EXTENSIONS": [".PDF", "Tar.gz", "pdf"]})
    assert config.allowed_extensions == ("pdf", "tar.gz")


def test_what_may_come_in_can_be_said_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert guards() == {}
    monkeypatch.setenv("HOLDFAST_ALLOWED_EXTENSIONS", "pdf, .txt,")
    monkeypatch.setenv("HOLDFAST_DENIED_EXTENSIONS", "")
    monkeypatch.setenv("HOLDFAST_QUOTA_BYTES", "1000")
    monkeypatch.setenv("HOLDFAST_QUOTA_UPLOADS", "None")
    assert guards() == {
        "ALLOWED_EXTENSIONS": ["pdf", ".txt"],
        "DENIED_EXTENSIONS": [],
        "QUOTA_BYTES": 1000,
        "QUOTA_UPLOADS": None,
    }
    for text in ("", "5 GB", "-1", "1.5", "٣"):
        monkeypatch.setenv("HOLDFAST_QUOTA_BYTES", text)
        with pytest.raises(ImproperlyConfigured, match="HOLDFAST_QUOTA_BYTES"):
            guards()
