"""What hands do without a button: dragging files out of a window of the desktop, and pasting."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

#: Builds what a browser hands over at Ctrl+V; no test may write to the clipboard of the desktop.
_PASTE = """files => {
  const data = new DataTransfer();
  for (const [name, text] of Object.entries(files)) {
    const bytes = Uint8Array.from(text, (byte) => byte.charCodeAt(0));
    data.items.add(new File([bytes], name));
  }
  const given = { clipboardData: data, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new ClipboardEvent("paste", given));
}"""

_LEAVE = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([], "any"));
  document.body.dispatchEvent(new DragEvent("dragleave", { dataTransfer, bubbles: true }));
}"""


def hold_over(page: Page, *paths: Path) -> None:
    """Drag files and folders into the page, and do not let go yet."""
    _drag(page, paths, "dragEnter", "dragOver")


def drag_away(page: Page) -> None:
    """Out of the window again, of which the protocol tells the page nothing."""
    page.evaluate(_LEAVE)


def drop(page: Page, *paths: Path) -> None:
    """Real files and real folders, as the browser itself reads them from disk."""
    _drag(page, paths, "dragEnter", "dragOver", "drop")


def paste(page: Page, files: dict[str, bytes]) -> None:
    """Files by their names, with what is in them."""
    page.evaluate(_PASTE, {name: content.decode("latin-1") for name, content in files.items()})


def _drag(page: Page, paths: tuple[Path, ...], *steps: str) -> None:
    protocol = page.context.new_cdp_session(page)
    data: dict[str, Any] = {
        "items": [],
        "files": [str(path) for path in paths],
        "dragOperationsMask": 1,
    }
    for step in steps:
        protocol.send("Input.dispatchDragEvent", {"type": step, "x": 200, "y": 300, "data": data})
    protocol.detach()
