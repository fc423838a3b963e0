"""Rules of the source that no linter knows."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.server import REPOSITORY

UPLOADS = REPOSITORY / "uploads"
TOO_BROAD = {"Exception", "BaseException"}


def nodes(*but: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node of the app's modules, with where it stands, except those of the modules `but`."""
    others = {UPLOADS / name for name in but}
    modules = [path for path in UPLOADS.rglob("*.py") if path not in others]
    assert all(path.exists() for path in others)
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            yield f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}", node


def names_uploads_setting(node: ast.AST) -> bool:
    """`settings.UPLOADS`, or its name for getattr."""
    if isinstance(node, ast.Attribute):
        return node.attr == "UPLOADS"
    return isinstance(node, ast.Constant) and node.value == "UPLOADS"


def catches_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in TOO_BROAD) for kind in kinds
    )


def test_only_conf_reads_the_settings() -> None:
    assert [where for where, node in nodes("conf.py") if names_uploads_setting(node)] == []


def test_only_the_background_threads_and_who_asks_validators_catch_everything() -> None:
    # A validator is the project's own: whatever it raises, nothing is admitted.
    threads = ("engine/threads.py", "engine/recovery.py", "engine/following.py")
    but = (*threads, "engine/validating.py")
    assert [where for where, node in nodes(*but) if catches_everything(node)] == []


@pytest.mark.parametrize(
    "source", ["settings.UPLOADS", 'getattr(settings, "UPLOADS")', 'settings.UPLOADS["ROOT"]']
)
def test_a_reading_of_the_settings_is_seen(source: str) -> None:
    assert any(map(names_uploads_setting, ast.walk(ast.parse(source))))


@pytest.mark.parametrize("kind", ["", " Exception", " (OSError, BaseException)"])
def test_catching_everything_is_seen(kind: str) -> None:
    source = f"try:\n    pass\nexcept{kind}:\n    pass"
    assert any(map(catches_everything, ast.walk(ast.parse(source))))
