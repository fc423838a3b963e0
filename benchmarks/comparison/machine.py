"""What a run ran on, and with which versions of the others."""

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.nginx import NGINX

from .figures import GIB
from .installing import OTHERS


def machine() -> dict[str, str]:
    """Without the machine's name or anything else that tells whose it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / GIB:.0f} GiB",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of what is installed by lists of their own, and of the system's programs that are there."""
    package = json.loads((OTHERS / "package.json").read_text())
    found: dict[str, str] = dict(package["dependencies"])
    for name, listed in (
        ("django-chunked-upload", "django_chunked_upload.txt"),
        ("copyparty", "copyparty.txt"),
    ):
        match = re.search(rf"^{name}==(\S+)$", (OTHERS / listed).read_text(), re.MULTILINE)
        assert match is not None
        found[name] = match[1]
    if NGINX:
        found["nginx"] = _said([NGINX, "-v"], r"nginx/(\S+)")
    if openssl := shutil.which("openssl"):
        found["openssl"] = _said([openssl, "version"], r"OpenSSL (\S+)")
    return found


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _said(command: list[str], pattern: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "of an unknown version"
