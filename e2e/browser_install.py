"""See that there is a Chromium for the browser tests: Playwright's own, or Debian's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

#: Where Debian's package puts it, and the names other systems use.
SYSTEM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def system_chromium() -> str | None:
    return next((path for name in SYSTEM_NAMES if (path := shutil.which(name))), None)


def playwright_chromium() -> str | None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def chromium() -> str:
    """The path of a Chromium. Raises LookupError when there is none."""
    found = os.environ.get("HOLDFAST_CHROMIUM") or system_chromium() or playwright_chromium()
    if not found:
        raise LookupError("There is no Chromium; run `make browser-tools`.")
    return found


def _install() -> None:
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"],
            check=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
        )
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def main() -> None:
    try:
        chromium()
    except LookupError:
        _install()
    print(f"Browser tests use {chromium()}")


if __name__ == "__main__":
    main()
