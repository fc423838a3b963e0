"""The wheel and the source distribution, made without a network from a copy of the sources."""

import shutil
import subprocess
import sys
from pathlib import Path

from .server import REPOSITORY

#: What goes into them, or is read when they are made.
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "uploads", "templates", "static")
SECONDS = 120


def copy_sources(to: Path) -> Path:
    """As they are now: making a wheel leaves files behind, which belong into no work tree."""
    to.mkdir(parents=True)
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    return to


def build_wheel(sources: Path, to: Path) -> Path:
    """As docs/integrate.md says, by the setuptools that are installed here."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    _run(
        [*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(to), "."],
        sources,
    )
    [wheel] = to.glob("*.whl")
    return wheel


def build_sdist(sources: Path, to: Path) -> Path:
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(to)!r})"
    to.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-c", code], sources)
    [sdist] = to.glob("*.tar.gz")
    return sdist


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
