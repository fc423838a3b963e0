"""HTML as a tree. Whatever is not closed in order is a defect of the page that it came from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

_VOID = {"br", "hr", "img", "input", "link", "meta"}


@dataclass(eq=False)
class Element:
    tag: str
    attrs: dict[str, str]
    parent: "Element | None" = None
    children: list["Element | str"] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Empty when the attribute is missing."""
        return self.attrs.get(name, "")

    @property
    def classes(self) -> list[str]:
        return self.get("class").split()

    @property
    def text(self) -> str:
        """All text within, its blanks run together."""
        return " ".join("".join(self._texts()).split())

    def walk(self) -> Iterator["Element"]:
        """Itself and all elements within, in the order of the document."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def and_above(self) -> Iterator["Element"]:
        yield self
        if self.parent:
            yield from self.parent.and_above()

    def all(self, *tags: str) -> list["Element"]:
        return [element for element in self.walk() if element.tag in tags]

    def having(self, attribute: str) -> list["Element"]:
        return [element for element in self.walk() if attribute in element.attrs]

    def by_id(self, given: str) -> "Element":
        (found,) = [element for element in self.walk() if element.get("id") == given]
        return found

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, Element):
                yield from child._texts()
            else:
                yield child


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.open = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            last = self.open.children[-1]
            assert isinstance(last, Element)
            self.open = last

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> says {names}"
        given = {name: value or "" for name, value in attrs}
        self.open.children.append(Element(tag, given, self.open))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.tag, f"</{tag}> where <{self.open.tag} {self.open.attrs}> is open"
        assert self.open.parent
        self.open = self.open.parent

    def handle_data(self, data: str) -> None:
        self.open.children.append(data)

    def read(self, html: str) -> Self:
        self.feed(html)
        self.close()
        assert self.open is self.root, f"<{self.open.tag} {self.open.attrs}> is never closed"
        return self


def parse(html: str) -> Element:
    """The root, which has no tag, of a document or of a fragment."""
    return _Parser().read(html).root
