"""What may come in, from the environment. What it does not name is as the app has it."""

import os
from collections.abc import Callable
from typing import Any

from .environment import limit, names

_READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("ALLOWED_EXTENSIONS", "DENIED_EXTENSIONS", "VALIDATORS"), names),
    **dict.fromkeys(("QUOTA_BYTES", "QUOTA_FILES", "QUOTA_UPLOADS"), limit),
}


def guards() -> dict[str, Any]:
    """Keys of UPLOADS. Raises ImproperlyConfigured for a limit that is no number."""
    given = {key: f"HOLDFAST_{key}" for key in _READ}
    return {key: _READ[key](variable) for key, variable in given.items() if variable in os.environ}
