"""What is secret: the key, from the environment or made once, and who may read the database."""

import contextlib
import os
import secrets
from pathlib import Path


def secret_key(data_dir: Path) -> str:
    """HOLDFAST_SECRET_KEY, or the content of `secret_key` in `data_dir`, made when missing."""
    given = os.environ.get("HOLDFAST_SECRET_KEY")
    if given:
        return given
    path = data_dir / "secret_key"
    if not path.exists():
        _make(path)
    return path.read_text().strip()


def private_file(path: Path) -> None:
    """Make it, and its folder, for this account only; one that is there stays as it is."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _make(path: Path) -> None:
    """Written whole before it gets its name, so that two first starts at once agree on one key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(50))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
