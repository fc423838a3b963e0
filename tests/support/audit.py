"""`make audit`: whether what is installed has known holes, as far as that can be asked.

0: none is known. 1: some are. 3: it could not be asked, or not of everything, which says nothing.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .server import REPOSITORY

CLEAN, FOUND, UNKNOWN = 0, 1, 3
_REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
_PIP_AUDIT = ("-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json")
#: Services that are not there keep a client waiting.
_SECONDS = 300


@dataclass
class Findings:
    """What one service has said."""

    holes: list[str] = field(default_factory=list)
    #: Why it says nothing, or nothing of some packages.
    unknown: list[str] = field(default_factory=list)


def read_pip_audit(printed: str) -> Findings:
    """A package that it was told nothing of it skips, and then ends as if all were well."""
    found = Findings()
    for package in json.loads(printed)["dependencies"]:
        name = f"{package['name']} {package.get('version', '')}".strip()
        if "skip_reason" in package:
            found.unknown.append(f"{name}: {package['skip_reason']}")
        found.holes += [f"{name}: {hole['id']}" for hole in package.get("vulns", [])]
    return found


def read_npm_audit(printed: str) -> Findings:
    answer: dict[str, Any] = json.loads(printed)
    if "vulnerabilities" not in answer:
        reason = answer.get("message") or answer.get("error") or "no answer"
        return Findings(unknown=[f"npm: {reason}"])
    told = answer["vulnerabilities"].items()
    return Findings(holes=[f"{name}: {hole['severity']}" for name, hole in told])


def verdict(name: str, found: Findings) -> int:
    """Print it, in a line for each hole and one for all that is unknown; the exit code."""
    for hole in found.holes:
        print(f"{name}: {hole}")
    if found.unknown:
        print(
            f"{name}: NOT AUDITED, its service could not be reached or does not know all "
            f"({len(found.unknown)} unknown): {found.unknown[0]}"
        )
    if found.holes:
        return FOUND
    if not found.unknown:
        print(f"{name}: no hole is known.")
    return UNKNOWN if found.unknown else CLEAN


def _asked() -> Iterator[tuple[str, Findings]]:
    for name in _REQUIREMENTS:
        yield name, _ask([sys.executable, *_PIP_AUDIT, "-r", name], read_pip_audit)
    yield "package-lock.json", _ask(["npm", "audit", "--json"], read_npm_audit)


def _ask(command: list[str], read: Callable[[str], Findings]) -> Findings:
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return read(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Findings(unknown=[str(error)])
    except (ValueError, KeyError):
        return Findings(unknown=[f"it said: {(done.stderr.strip() or 'nothing').splitlines()[-1]}"])


def main() -> int:
    """A hole counts more than what is unknown, and that more than what is clean."""
    codes = {verdict(name, found) for name, found in _asked()}
    return next(code for code in (FOUND, UNKNOWN, CLEAN) if code in codes)


if __name__ == "__main__":
    sys.exit(main())
