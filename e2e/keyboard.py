"""The focus: where it is, whether it can be seen, and how Tab gets it somewhere."""

from dataclasses import dataclass

from playwright.sync_api import Page

#: More than any page of a test has controls.
MANY = 400

_FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return { name: "nothing", seen: false, index: -1 };
  const textOf = (ids) => (ids ?? "").split(" ")
    .map((id) => document.getElementById(id)?.textContent.trim()).filter(Boolean).join(" ");
  const label = textOf(element.getAttribute("aria-labelledby"))
    || element.labels?.[0]?.textContent || element.textContent || element.id;
  const about = textOf(element.getAttribute("aria-describedby"));
  const name = [label, about].map((text) => text.trim().replace(/\\s+/g, " ")).filter(Boolean);
  // A hidden file input shows its focus on its label, a name on its heading.
  const places = [element, element.labels?.[0], element.closest(".upload-name")];
  const outlined = places.find((place) => {
    if (!place || place.closest(".visually-hidden")) return false;
    const { outlineStyle, outlineWidth } = getComputedStyle(place);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  });
  const box = outlined?.getBoundingClientRect();
  const top = box && document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return {
    name: name.join(": "),
    seen: Boolean(top) && (outlined.contains(top) || top.contains(outlined)),
    index: [...document.querySelectorAll("*")].indexOf(element),
  };
}"""

_CONTROLS = """() => {
  const all = [...document.querySelectorAll("*")];
  return all.filter((element) => element.matches("a[href], button, input, select, textarea")
    && element.tabIndex >= 0 && !element.disabled && element.type !== "hidden"
    && element.checkVisibility({ visibilityProperty: true })).map((e) => all.indexOf(e));
}"""


@dataclass(frozen=True)
class Focus:
    #: As a screen reader calls it; after a colon, what it is about.
    name: str
    #: Whether an outline shows it, and nothing lies over it.
    seen: bool
    #: Among all elements of the document.
    index: int


def focus_of(page: Page) -> Focus:
    return Focus(**page.evaluate(_FOCUS))


def controls_of(page: Page) -> list[int]:
    """The `index` of all that can be used, in the order of the document."""
    found: list[int] = page.evaluate(_CONTROLS)
    return found


def stops_of(page: Page) -> list[Focus]:
    """Where Tab leads from the top of the page to its end."""
    stops: list[Focus] = []
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(MANY):
        page.keyboard.press("Tab")
        focus = focus_of(page)
        if focus.index < 0 or focus in stops:
            return stops
        stops.append(focus)
    raise AssertionError(f"Tab never came to an end: {stops[-3:]}")


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until it has the focus."""
    passed = []
    for _ in range(MANY):
        page.keyboard.press(key)
        focus = focus_of(page)
        if focus.name == name:
            assert focus.seen, f"the focus on {name} cannot be seen"
            return
        passed.append(focus.name)
    raise AssertionError(f"Tab never came to {name}, but to {sorted(set(passed))}")
