"""Why an upload failed, for people: constant sentences, which the pages translate; or those of a
validator of the project (`validating`), in the project's own language.

What belongs to one case only (two digests, a number) is the detail of its event.
"""

from django.utils.translation import gettext_noop

DATA_LOST = gettext_noop("The data received so far is missing on the server.")
OTHER_HASH = gettext_noop(
    "The file that arrived does not have the declared SHA-256. Every chunk arrived as it was sent, "
    "so the file changed meanwhile, or what was declared was wrong."
)
#: What `inspecting` says of content.
OTHER_KIND = gettext_noop(
    "The content of this file is not what its name and its type say. If the name is wrong, give "
    "the file the right one and send it again."
)
HIDDEN_PROGRAM = gettext_noop(
    "The content of this file is a program, which is not taken here under any name."
)
HIDDEN_FILE = gettext_noop(
    "This image has another file hidden in it, which is not taken here. Save it anew as an image, "
    "and send that."
)
PART_GONE = gettext_noop("A part that it was to be joined of is not there any more.")
NO_ROOM = gettext_noop("With it you would have more than you may have here.")
WHOLE_TOO_LARGE = gettext_noop("Its parts together are larger than this server takes files.")


def is_refusal(error: str) -> bool:
    """Whether somebody has looked at the content and does not take it, and would not again."""
    return error not in {"", DATA_LOST, OTHER_HASH, PART_GONE, NO_ROOM, WHOLE_TOO_LARGE}
