"""docs/deploy.md names what there is. Its nginx is run in tests/server/test_nginx.py."""

import os
import re
import subprocess
import sys
from pathlib import Path

from config import settings

from tests.support.documents import blocks
from tests.support.server import REPOSITORY
from uploads import conf
from uploads.checks import downloads
from uploads.engine.content_tickets import SECONDS
from uploads.protocols.downloads import ACCEL, SENDFILE

DOCUMENT = REPOSITORY / "docs" / "deploy.md"
TEXT = DOCUMENT.read_text()


def test_its_only_code_is_that_of_nginx_which_is_run() -> None:
    assert [(block.language, block.mark) for block in blocks(DOCUMENT)] == [
        ("nginx", "nginx"),
        ("text", ""),
    ]


def test_it_names_what_there_is() -> None:
    environment = (REPOSITORY / "site" / "config" / "settings.py").read_text()
    for name in set(re.findall(r"HOLDFAST_[A-Z_]+", TEXT)):
        assert f'"{name}"' in environment
    for key in re.findall(r'UPLOADS\["(\w+)"\]', TEXT):
        assert hasattr(conf.current(), key.lower())
    for told in (downloads.MIDDLEWARE, SENDFILE, f"for {SECONDS // 60} minutes"):
        assert told in TEXT
    assert ACCEL in TEXT
    assert downloads.MIDDLEWARE in settings.MIDDLEWARE


def test_every_link_leads_somewhere() -> None:
    for path in re.findall(r"\]\(([^#)][^)#]*)", TEXT):
        assert (DOCUMENT.parent / path).exists(), path
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    slugs = {heading.lower().replace(" ", "-") for heading in headings}
    linking = [REPOSITORY / "README.md", REPOSITORY / "docs" / "api.md"]
    linked = re.findall(r"deploy\.md#([\w-]+)", "".join(path.read_text() for path in linking))
    assert set(linked) <= slugs
    assert linked


def test_its_environment_is_that_of_a_site_without_mistakes(tmp_path: Path) -> None:
    [text] = [block.text for block in blocks(DOCUMENT) if block.language == "text"]
    given = dict(line.split("=", 1) for line in text.splitlines())
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--tag", "uploads"],
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "HOLDFAST_DATA": str(tmp_path),
            "HOLDFAST_ACCEL_PREFIX": "/protected-uploads/",
            **given,
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "no issues" in done.stdout
