"""Every server started, each with data of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .contestants import Field
from .holdfast import Holdfast, running_holdfast
from .limits import add_limits
from .ours import add_holdfast
from .peers import PEERS
from .verdicts import NotHere


@contextmanager
def assembled(folder: Path) -> Iterator[tuple[Field, Holdfast]]:
    """Every server running, each with a folder of its own in `folder`."""
    field = Field()
    with ExitStack() as stack:
        add_limits(field, stack, _made(folder / "bare"))
        holdfast = stack.enter_context(running_holdfast())
        add_holdfast(field, holdfast)
        for keys, add in PEERS.items():
            try:
                add(field, stack, _made(folder / keys[0]))
            except NotHere as reason:
                field.absent.update(dict.fromkeys(keys, str(reason)))
        yield field, holdfast


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
