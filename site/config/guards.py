"""What may come in, from the environment. What it does not name is as the app has it."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

#: Lists, separated by commas; an empty one is a list of nothing.
_LISTS = ("ALLOWED_EXTENSIONS", "DENIED_EXTENSIONS", "VALIDATORS")
#: Numbers; `none` is no limit.
_LIMITS = ("QUOTA_BYTES", "QUOTA_FILES", "QUOTA_UPLOADS")
_UNLIMITED = "none"


def guards(environment: Mapping[str, str]) -> dict[str, Any]:
    """Keys of UPLOADS. Raises ImproperlyConfigured for a limit that is no number."""
    found: dict[str, Any] = {}
    for key in _LISTS:
        text = environment.get(f"HOLDFAST_{key}")
        if text is not None:
            found[key] = [part.strip() for part in text.split(",") if part.strip()]
    for key in _LIMITS:
        text = environment.get(f"HOLDFAST_{key}")
        if text is not None:
            found[key] = _limit(f"HOLDFAST_{key}", text.strip().lower())
    return found


def _limit(name: str, text: str) -> int | None:
    if text == _UNLIMITED:
        return None
    if not (text.isascii() and text.isdigit()):
        raise ImproperlyConfigured(f"{name} must be a whole number, or `none` for no limit")
    return int(text)
