"""What the system refuses, as the refusals of the store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from uploads.errors import StorageFull, StorageUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def refuse(error: OSError) -> NoReturn:
    """Raises StorageFull or StorageUnavailable."""
    if error.errno in _FULL:
        raise StorageFull(
            "The server has no room for these bytes. Nothing was lost: what is already received "
            "stays, and the upload can go on once there is room."
        ) from error
    raise StorageUnavailable(
        "The server could not reach its storage. Nothing was lost: send the same request again "
        "in a few seconds."
    ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Whatever the system refuses within is refused by the store."""
    try:
        yield
    except OSError as error:
        refuse(error)
