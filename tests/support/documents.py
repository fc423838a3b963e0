"""The code in a document: each block, and what the line before it says it is for."""

import re
from dataclasses import dataclass
from pathlib import Path

from .server import REPOSITORY

#: What is never run: what a server answers or logs.
ANSWERS = {"json", "http", "text"}

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str
    #: Of a comment right before it: `run: NAME...`, `first: SUFFIX`, or empty.
    mark: str

    @property
    def programs(self) -> list[str]:
        """The names of the programs that it is a part of."""
        what, _, names = self.mark.partition(": ")
        return names.split() if what == "run" else []

    def is_first_of(self, program: str) -> bool:
        return self.mark == f"first: {program.rpartition('.')[2]}"


def blocks(document: Path) -> list[Block]:
    """In their order."""
    found = _BLOCK.finditer(document.read_text())
    return [Block(match["language"], match["text"], match["mark"] or "") for match in found]


API_BLOCKS = blocks(REPOSITORY / "docs" / "api.md")


def api_program(name: str) -> str:
    """All blocks of docs/api.md that are marked `run: NAME`, those that come first before them."""
    parts = [block.text for block in API_BLOCKS if name in block.programs]
    assert parts, f"docs/api.md has no block marked `run: {name}`"
    return "\n".join([*(block.text for block in API_BLOCKS if block.is_first_of(name)), *parts])
