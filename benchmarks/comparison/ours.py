"""This server among the contestants, by each of its protocols."""

from collections.abc import Callable

from .contestants import HOLDFAST, Field
from .holdfast import BLAKE3, NONE, SHA256, Holdfast
from .payload import Payload


def add_holdfast(field: Field, holdfast: Holdfast) -> None:
    whole = "SHA-256 of the file after the last byte"
    chunk = "of each chunk, before it is kept; BLAKE3 of each is kept"
    for key, declared, word, checked in (
        ("native-sha256", SHA256, "SHA-256", "SHA-256"),
        ("native-blake3", BLAKE3, "BLAKE3", "BLAKE3"),
        ("native-none", NONE, "nothing", "length"),
    ):
        name = f"Holdfast, native, {word} declared"
        checks = f"{checked} {chunk}; {whole}"
        field.add(key, name, HOLDFAST, checks, _native(holdfast, declared))
    field.add(
        "native-verified",
        "Holdfast, native, until verified",
        HOLDFAST,
        f"BLAKE3 {chunk}; SHA-256 of the file, within the time",
        lambda payload: holdfast.send_and_verify(payload).seconds,
    )
    field.add(
        "json",
        "Holdfast, JSON",
        HOLDFAST,
        f"SHA-256 {chunk}; {whole}",
        lambda payload: holdfast.send_json(payload).seconds,
    )
    for key, name, in_one in (("tus-one", "one PATCH", True), ("tus-5mib", "5 MiB PATCHes", False)):
        field.add(key, f"Holdfast, tus, {name}", HOLDFAST, whole, _tus(holdfast, in_one=in_one))
    field.add(
        "chunked-upload",
        "Holdfast, as django-chunked-upload",
        HOLDFAST,
        "MD5 and SHA-256 of the file, within the time",
        lambda payload: holdfast.send_chunked_upload(payload).seconds,
    )


def _native(holdfast: Holdfast, declared: str) -> Callable[[Payload], float]:
    return lambda payload: holdfast.send_native(payload, declared).seconds


def _tus(holdfast: Holdfast, *, in_one: bool) -> Callable[[Payload], float]:
    return lambda payload: holdfast.send_tus(payload, in_one=in_one).seconds
