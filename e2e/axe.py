"""axe-core looks at a page, in light and in dark."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

_SOURCE = Path(__file__).resolve().parents[1] / "node_modules" / "axe-core" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async (tags) => {
  const { violations } = await axe.run(document, {
    runOnly: { type: "tag", values: tags },
    // Off by default in axe-core, though WCAG 2.2 AA asks for it.
    rules: { "target-size": { enabled: true } },
    resultTypes: ["violations"],
  });
  return violations;
}"""
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def expect_accessible(page: Page, state: str) -> None:
    """Fails with every rule that the page breaks as it is shown now, and where it does so."""
    found = []
    for theme in _THEMES:
        # Without motion: a colour halfway between two themes is neither's.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        found += [f"{state}, {theme}: {line}" for line in _violations(page)]
    assert not found, "\n".join(found)


def _violations(page: Page) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    return [line for found in page.evaluate(_RUN, _TAGS) for line in _lines(found)]


@cache
def _source() -> str:
    if not _SOURCE.exists():
        raise RuntimeError("axe-core is not installed: run `make node_modules/.stamp`")
    return _SOURCE.read_text()


def _lines(violation: dict[str, Any]) -> list[str]:
    """One for each element."""
    return [
        f"{violation['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for node in violation["nodes"]
    ]
