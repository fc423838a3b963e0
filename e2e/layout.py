"""What of a page is too wide, cut off, or too small to be touched: each a line for people."""

from playwright.sync_api import Page

_DESCRIBE = """const describe = (element) => {
  const { width, height, left, top } = element.getBoundingClientRect();
  const box = [left, top, width, height].map(Math.round).join(" ");
  return `${element.outerHTML.slice(0, 120)} at ${box}`;
};
const all = (selector) => [...document.querySelectorAll(selector)].filter((element) =>
  element.checkVisibility({ visibilityProperty: true }) && !element.closest(".visually-hidden"));
"""

_TOO_WIDE = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const beyond = all("body *").filter((e) => e.getBoundingClientRect().right > clientWidth + 0.5);
  return [`${scrollWidth} wide in ${clientWidth}`, ...beyond.slice(0, 5).map(describe)];
}"""

# The text of each element lies within the block that it stands in. Names are shortened on purpose:
# the page about the file has them whole.
_CUT = """() => {
  const blockOf = (element) =>
    getComputedStyle(element).display.startsWith("inline") &&
      !getComputedStyle(element).display.includes("flex")
      ? blockOf(element.parentElement) : element;
  const texts = (element) => [...element.childNodes].filter(
    (node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const cut = (element) => texts(element).some((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const text = range.getBoundingClientRect();
    const block = blockOf(element).getBoundingClientRect();
    return text.left < block.left - 1 || text.right > block.right + 1 ||
      text.top < block.top - 1 || text.bottom > block.bottom + 1;
  });
  const shortened = ".upload-name, .account-name, select, progress, .skip";
  return all("body *").filter((e) => !e.closest(shortened) && cut(e)).map(describe);
}"""

_SMALL = """({ selector, smallest }) => {
  const textOf = (element) => element.textContent.trim();
  const inSentence = (element) =>
    element.matches("p a") && textOf(element.parentElement) !== textOf(element);
  const small = ({ width, height }) => Math.min(width, height) < smallest;
  return all(selector).filter((e) => !inSentence(e) && small(e.getBoundingClientRect()))
    .map(describe);
}"""

_SPACING = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: 0.12em !important }
    * { word-spacing: 0.16em !important }
    p { margin-bottom: 2em !important }`);
  document.adoptedStyleSheets = [sheet];
}"""


def too_wide(page: Page) -> list[str]:
    """What makes the page scroll sideways."""
    return _ask(page, _TOO_WIDE)


def cut_off(page: Page) -> list[str]:
    """Text that does not fit the block that it stands in."""
    return _ask(page, _CUT)


def too_small(page: Page, selector: str, smallest: float) -> list[str]:
    """What is less wide or high than so many CSS pixels; links within sentences excepted."""
    return _ask(page, _SMALL, {"selector": selector, "smallest": smallest})


def space_text_out(page: Page) -> None:
    """As WCAG 1.4.12 says that readers may."""
    page.evaluate(_SPACING)


def _ask(page: Page, script: str, argument: object = None) -> list[str]:
    found: list[str] = page.evaluate(
        f"(argument) => {{ {_DESCRIBE} return ({script})(argument) }}", argument
    )
    return found
