"""The others, installed into folders of their own under `var/`, never into this project's.

What is installed stays for the next run, unless its list has changed.
"""

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from tests.support.server import REPOSITORY

from .verdicts import NotHere

OTHERS = Path(__file__).parent / "others"
INSTALLED = REPOSITORY / "var" / "comparison"
#: Where `make` has put Python's and Node's tools.
_TOOLS = Path(sys.executable).parent
_DONE = "installed"


def python_environment(name: str) -> Path:
    """The `bin` of an environment that has what `others/<name>.txt` lists. Raises NotHere."""
    listed = OTHERS / f"{name}.txt"

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        quiet = ("--quiet", "--disable-pip-version-check")
        _run(python, "-m", "pip", *quiet, "install", "--requirement", listed)

    return _installed(name, [listed], install) / "bin"


def tus_server() -> Path:
    """The script that starts @tus/server, beside what it imports. Raises NotHere."""
    files = [OTHERS / name for name in ("package.json", "package-lock.json", "tus_server.mjs")]

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        quiet = ("--omit=optional", "--no-audit", "--no-fund", "--silent")
        _run(_TOOLS / "npm", "ci", *quiet, folder=folder)

    return _installed("tus_server", files, install) / "tus_server.mjs"


def node() -> Path:
    return _TOOLS / "node"


def _installed(name: str, files: list[Path], install: Callable[[Path], None]) -> Path:
    folder = INSTALLED / name
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    mark = folder / _DONE
    if mark.exists() and mark.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    try:
        install(folder)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotHere(f"{name} could not be installed ({_reason(error)})") from error
    mark.write_text(wanted)
    return folder


def _run(*command: str | Path, folder: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True, timeout=300)


def _reason(error: Exception) -> str:
    """The last line that the installer said."""
    said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return said[-1][:200] if said else type(error).__name__
