"""The wheel holds all that a project needs, and nothing that is this site's own."""

import hashlib
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY
from tests.support.wheel import build_sdist, build_wheel, copy_sources

Contents = dict[str, bytes]


def contents_of(wheel: Path) -> Contents:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources") / "holdfast")


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return contents_of(build_wheel(sources, tmp_path_factory.mktemp("wheel")))


def files(folder: str, pattern: str = "**/*") -> set[str]:
    """Those of the repository, as they are called below `folder`."""
    base = REPOSITORY / folder
    found = {path for path in base.glob(pattern) if path.is_file()}
    return {str(path.relative_to(base)) for path in found if "__pycache__" not in path.parts}


def below(folder: str, wheel: Contents) -> set[str]:
    return {name.removeprefix(f"{folder}/") for name in wheel if name.startswith(f"{folder}/")}


def test_all_of_the_app_is_in_it(wheel: Contents) -> None:
    app = {
        name for name in below("uploads", wheel) if not name.startswith(("static/", "templates/"))
    }
    assert app == files("uploads")
    assert {"py.typed", "openapi.yaml", "migrations/0001_initial.py"} <= app
    assert {name for name in app if name.endswith(".mo")}


def test_the_static_files_and_the_licences_of_others_are_in_it(wheel: Contents) -> None:
    static = below("uploads/static", wheel)
    assert static == files("static")
    for folder in (REPOSITORY / "static" / "vendor").iterdir():
        assert f"vendor/{folder.name}/LICENSE" in static


def test_the_templates_of_the_app_are_in_it_and_none_of_the_site(wheel: Contents) -> None:
    expected = {f"uploads/{name}" for name in files("templates/uploads")}
    expected |= {f"partials/uploads/{name}" for name in files("templates/partials/uploads")}
    assert below("uploads/templates", wheel) == expected
    for name in expected:
        # A project's own base.html knows nothing of our blocks and scripts.
        assert b'extends "base.html"' not in wheel[f"uploads/templates/{name}"], name


def test_no_file_is_another_one_there(wheel: Contents) -> None:
    for name in below("uploads", wheel):
        there = name if name.startswith(("static/", "templates/")) else f"uploads/{name}"
        assert wheel[f"uploads/{name}"] == (REPOSITORY / there).read_bytes(), name


def test_nothing_else_is_in_it(wheel: Contents) -> None:
    [information] = {name.partition("/")[0] for name in wheel} - {"uploads"}
    assert information.endswith(".dist-info")
    assert wheel[f"{information}/licenses/LICENSE"] == (REPOSITORY / "LICENSE").read_bytes()


def test_it_asks_for_what_the_app_imports(wheel: Contents) -> None:
    [name] = [name for name in wheel if name.endswith(".dist-info/METADATA")]
    metadata = message_from_bytes(wheel[name])
    needed = [
        str(given).partition(">")[0].lower() for given in metadata.get_all("Requires-Dist", [])
    ]
    assert {"django", "blake3", "django-htmx", "django-tasks", "pyyaml", "tqdm"} <= set(needed)
    assert {"granian", "whitenoise"} <= set(needed)


def test_the_source_distribution_makes_the_same_wheel(
    sources: Path, wheel: Contents, tmp_path: Path
) -> None:
    with tarfile.open(build_sdist(sources, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    again = contents_of(build_wheel(unpacked, tmp_path / "wheel"))
    assert digests(again) == digests(wheel)


def digests(wheel: Contents) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in wheel.items()}
