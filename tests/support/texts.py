"""The texts that the source marks for translation, those it forgot, and the catalogues."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import polib
from django.utils.translation.template import templatize

from .server import REPOSITORY

LOCALE = REPOSITORY / "uploads" / "locale"
DOMAINS = ("django", "djangojs")
TEMPLATES = REPOSITORY / "templates"
PAGE_MODULES = REPOSITORY / "static" / "js" / "uploads"
SOURCES = (REPOSITORY / "uploads", REPOSITORY / "site")

#: A text and its plural, which is empty where there is none.
Text = tuple[str, str]

_MARKS = {f"{name}{suffix}" for name in ("gettext", "ngettext") for suffix in ("", "_lazy")}
_MARKS |= {"_", "gettext_noop"}
_LITERAL = r"""u?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_CALL = re.compile(rf"(?<![\w.#])(?:n?gettext|_)\(\s*({_LITERAL})(?:,\s*({_LITERAL}))?")
#: Attributes that people see or hear.
_SPOKEN = {"alt", "aria-description", "aria-label", "placeholder", "title"}
_MARKED_BLOCK = re.compile(r"{%\s*blocktranslate\b.*?%}.*?{%\s*endblocktranslate\s*%}", re.DOTALL)
_TEMPLATE_CODE = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
#: Stands in an attribute that nobody sees, though it looks like text where it is filled in.
_CLASSES = re.compile(r"{%\s*block page_class\s*%}[^<]*?{%\s*endblock\s*%}")
#: The same in every language.
_NAMES = re.compile(r"\b(Holdfast|SHA-256)\b")
#: A date written in the order of one language; that for machines is `c`.
_UNMARKED_DATE = re.compile(r"""\|(?:date|time):(?:"(?!c")[^"]*"|'(?!c')[^']*')""")


def languages() -> list[str]:
    return sorted(folder.name for folder in LOCALE.iterdir())


def catalogue_path(language: str, domain: str, kind: str) -> Path:
    """Of `kind` "po", as people write it, or "mo", as programs read it."""
    return LOCALE / language / "LC_MESSAGES" / f"{domain}.{kind}"


def read_po(language: str, domain: str) -> polib.POFile:
    return polib.pofile(str(catalogue_path(language, domain, "po")))


def read_mo(language: str, domain: str) -> polib.MOFile:
    return polib.mofile(str(catalogue_path(language, domain, "mo")))


def texts_of(entry: polib.POEntry | polib.MOEntry) -> list[str]:
    """Its translation, or one for each form of the plural."""
    plural: dict[int, str] = entry.msgstr_plural
    return [plural[form] for form in sorted(plural)] if plural else [entry.msgstr]


def marked(domain: str) -> set[Text]:
    if domain == "djangojs":
        modules = PAGE_MODULES.rglob("*.js")
        return {text for path in modules for text in _in_calls(path.read_text())}
    found = {text for path in TEMPLATES.rglob("*.html") for text in in_template(path.read_text())}
    modules = (path for folder in SOURCES for path in folder.rglob("*.py"))
    return found.union(*(in_python(path.read_text()) for path in modules))


def in_template(source: str) -> set[Text]:
    return set(_in_calls(templatize(source)))


def in_python(source: str) -> set[Text]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {text for call in calls if _name(call.func) in _MARKS and (text := _constants(call))}


def unmarked(template: str) -> list[str]:
    """What people see or hear of a template that is marked nowhere, dates' formats included."""
    finder = _Words()
    plain = _CLASSES.sub(" ", _MARKED_BLOCK.sub(" ", template))
    finder.feed(_TEMPLATE_CODE.sub(" ", plain))
    finder.close()
    return finder.found + _UNMARKED_DATE.findall(template)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _SPOKEN:
                self.handle_data(value or "")

    def handle_data(self, data: str) -> None:
        if re.search(r"[^\W\d_]", _NAMES.sub("", data)):
            self.found.append(" ".join(data.split()))


def _in_calls(source: str) -> Iterator[Text]:
    for one, many in _CALL.findall(source):
        yield ast.literal_eval(one), ast.literal_eval(many) if many else ""


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""


def _constants(call: ast.Call) -> Text | None:
    """None where a text is marked elsewhere and only looked up here."""
    texts = [node.value for node in call.args[:2] if isinstance(node, ast.Constant)]
    if not texts or not isinstance(texts[0], str):
        return None
    return texts[0], str(texts[1]) if len(texts) > 1 else ""
