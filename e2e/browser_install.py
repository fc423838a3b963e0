"""See that there is a Chromium for the tests, Playwright's own or Debian's, and an nginx."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.nginx import UNPACKED, find_nginx

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


def _unpack_nginx() -> None:
    """Debian's package, unpacked and not installed: that would start a server on port 80.

    Needs no rights. Where it fails, tests that want an nginx say so.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-nginx-") as folder:
        try:
            subprocess.run(["apt-get", "download", "-qq", "nginx"], check=True, cwd=folder)
            [package] = Path(folder).glob("nginx_*.deb")
            subprocess.run(["dpkg", "-x", package, UNPACKED], check=True)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            print(f"There is no nginx, and its package could not be had: {error}", file=sys.stderr)


def main() -> None:
    try:
        chromium()
    except LookupError:
        _install()
    if find_nginx() is None:
        _unpack_nginx()
    print(f"Browser tests use {chromium()}; tests behind nginx use {find_nginx() or 'none'}")


if __name__ == "__main__":
    main()
