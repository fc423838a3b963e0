"""What a screen reader would say by itself: every change of a live region."""

from playwright.sync_api import Page

_LISTEN = """() => {
  const regions = '[role="status"], [role="alert"], [aria-live]';
  const regionOf = (node) =>
    (node instanceof Element ? node : node.parentElement)?.closest(regions) ?? null;
  window.spoken = [];
  new MutationObserver((records) => {
    const nodes = records.flatMap(({ target, addedNodes }) => [target, ...addedNodes]);
    for (const region of new Set(nodes.map(regionOf))) {
      const text = region?.textContent.trim().replace(/\\s+/g, " ");
      if (text) window.spoken.push(text);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def listen(page: Page) -> None:
    """From now on, until the page is left."""
    page.evaluate(_LISTEN)


def heard(page: Page) -> list[str]:
    said: list[str] = page.evaluate("window.spoken")
    return said
