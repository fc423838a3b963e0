"""docs/integrate.md: none of its code is untested, and its links lead somewhere.

The project that it is gets built and used in e2e/test_integration.py.
"""

import re

from tests.support.project import BLOCKS, DOCUMENT

TEXT = DOCUMENT.read_text()
#: What `make_project` and `Project.served` run.
RUN = {"install", "start", "prepare", "serve"}


def test_every_block_of_code_is_run_or_written_into_the_project() -> None:
    assert TEXT.count("\n```") == 2 * len(BLOCKS), "a block without a language, or no block"
    assert {name for block in BLOCKS for name in block.programs} == RUN
    for block in BLOCKS:
        kind, _, name = block.mark.partition(": ")
        if block.language == "sh":
            assert block.programs, block.text
        elif block.language == "nginx":
            assert kind == "nginx"
        else:
            assert kind in {"file", "append", "other server"}, block.text
            # Comments are not to be seen: a line before it says where the block goes.
            assert re.search(rf"^`{name}`.*:\n\n<!-- {block.mark} -->$", TEXT, re.MULTILINE)


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= slugs
    for path in re.findall(r"\]\(([^#)][^)#]*)", TEXT):
        assert (DOCUMENT.parent / path).exists(), path
