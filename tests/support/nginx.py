"""A real nginx, as whoever runs the tests, with nothing of its own outside of one folder.

`make` unpacks it (e2e/browser_install.py) where the system has none.
"""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from .server import REPOSITORY, free_port
from .waiting import wait_until

#: Where `make` unpacks Debian's package: not installed, so no service of the system begins.
UNPACKED = REPOSITORY / ".venv" / "nginx"
_PLACES = f"{os.environ['PATH']}:/usr/sbin:{UNPACKED / 'usr' / 'sbin'}"
WHY_SKIPPED = "there is no nginx here, and `make` could not get one from Debian's packages"

_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find_nginx() -> str | None:
    """One that runs here; None where there is none and none could be had."""
    found = shutil.which("nginx", path=_PLACES)
    if found and subprocess.run([found, "-v"], check=False, capture_output=True).returncode == 0:
        return found
    return None


#: Looked for once.
NGINX = find_nginx()


@contextmanager
def nginx(block: str, folder: Path) -> Iterator[int]:
    """Its port on 127.0.0.1. `block` is in its server; `folder/sent.log` has what the app said."""
    assert NGINX is not None, WHY_SKIPPED
    port = free_port()
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in _KINDS)
    who = f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
    (folder / "nginx.conf").write_text(
        f"daemon off; user {who}; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        "http {\n"
        "types { text/html html; } default_type application/octet-stream;\n"
        "log_format sent '$status $upstream_http_x_request_id $upstream_http_x_accel_redirect';\n"
        f"access_log {folder}/sent.log sent; {places}\n"
        f"server {{ listen 127.0.0.1:{port}; server_name _;\n{block}}} }}\n"
    )
    files = ["-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    process = subprocess.Popen([NGINX, *files], stderr=subprocess.DEVNULL)
    try:
        wait_until(_answers(process, port, folder), "nginx")
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _answers(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> Callable[[], bool]:
    def asked() -> bool:
        assert process.poll() is None, (folder / "error.log").read_text()
        try:
            requests.head(f"http://127.0.0.1:{port}/", timeout=30)
        except requests.RequestException:
            return False
        return True

    return asked
