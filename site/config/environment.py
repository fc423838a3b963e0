"""What an operator sets: the values of environment variables, or what is wrong with them."""

import os

from django.core.exceptions import ImproperlyConfigured


def names(variable: str, default: str = "") -> list[str]:
    """The parts of a list separated by commas, without blanks around them or empty ones."""
    parts = os.environ.get(variable, default).split(",")
    return [part.strip() for part in parts if part.strip()]


def whole_number(variable: str, default: int, least: int = 1) -> int:
    """Raises ImproperlyConfigured for what is no number, or less than `least`."""
    given = os.environ.get(variable, str(default)).strip()
    if not (given.isascii() and given.isdecimal() and int(given) >= least):
        raise ImproperlyConfigured(
            f"{variable} is {given!r}; expected a whole number of {least} or more."
        )
    return int(given)


def limit(variable: str) -> int | None:
    """A whole number, or None for `none`. Raises ImproperlyConfigured for anything else."""
    given = os.environ[variable].strip()
    return None if given.lower() == "none" else whole_number(variable, 0, least=0)


def switch(variable: str) -> bool:
    """Raises ImproperlyConfigured for anything but 0 and 1."""
    given = os.environ.get(variable, "0")
    if given not in {"0", "1"}:
        raise ImproperlyConfigured(f"{variable} is {given!r}; expected 0 or 1.")
    return given == "1"


def is_local(host: str) -> bool:
    """Whether a name of ALLOWED_HOSTS is one of this machine for itself only."""
    return host in {"localhost", "127.0.0.1", "[::1]"} or host.endswith(".localhost")
