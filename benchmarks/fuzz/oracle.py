"""What an answer, and the log, must not be."""

import json
import re
from collections.abc import Iterator
from typing import Any

from uploads import errors

from .client import Answer
from .making import Ask

#: On every answer that comes from the application; those without it are the HTTP server's own.
_REQUEST_ID = "X-Request-ID"
#: Of the site's own pages, and of Django's where it shows an error by itself.
_OWN_PAGE = re.compile(rb"<title>[^<]*(Holdfast|Django)", re.IGNORECASE)
_LEAKS = (b"Traceback (most recent call last)", b"Django Version", b"Server Error (500)")
#: Statuses below 400 which say that nothing was done: who asks is to sign in, or has the file.
_SIGN_IN = re.compile(r"/(sign-in|admin/login)/")
_KEPT = b"bytes came and were kept"
_VERDICTS = (b'"session_failed"', b'"content_refused"', b'"chunks_missing"')
#: What may be answered while the server is quiet, if it says when to come back.
_PASSING = {429, 503, 507}
#: Lines of the log that only a bug writes.
#: (Django calls what a client alone brings about, such as an unknown host, an error too.)
_LOGGED = re.compile(
    r"^Traceback|^\S+ \S+ (ERROR (?!django\.security\.)|CRITICAL )|panicked at", re.MULTILINE
)


def _codes(kind: type[errors.UploadError]) -> Iterator[str]:
    yield kind.code
    for below in kind.__subclasses__():
        yield from _codes(below)


CODES = set(_codes(errors.UploadError))


def complaints(ask: Ask, answers: list[Answer]) -> list[str]:
    """What is wrong with the answers to `ask`, in sentences."""
    if not answers and not ask.may_break:
        return ["the connection ended without an answer"]
    return [sentence for answer in answers for sentence in _wrong_with(ask, answer)]


def is_accepted(ask: Ask, answers: list[Answer]) -> bool:
    """Whether the server may have changed something for it. Where no answer came, nobody knows."""
    if not answers:
        return True
    if ask.method in {"GET", "HEAD", "OPTIONS"} and not ask.may_break:
        return False
    return any(
        (answer.status < 400 and not _asks_to_sign_in(answer)) or _is_kept(ask, answer)
        for answer in answers
    )


def logged(text: str) -> list[str]:
    """What this piece of the server's log must not have."""
    found = _LOGGED.search(text)
    return [f"the log has: {text[found.start() :][:3000]}"] if found else []


def _is_kept(ask: Ask, answer: Answer) -> bool:
    """Whether the refusal says that something was done.

    What came of a stream that was cut off is kept; and who completes an upload may wait for its
    verification, whose end is then the answer.
    """
    if b"complete" in ask.data[:200]:
        return any(code in answer.body for code in _VERDICTS)
    return _KEPT in answer.body


def _asks_to_sign_in(answer: Answer) -> bool:
    return bool(_SIGN_IN.search(answer.header("Location") or ""))


def _wrong_with(ask: Ask, answer: Answer) -> Iterator[str]:
    yield from _wrong_status(answer)
    for name, value in answer.headers:
        if not all(byte == 9 or 0x20 <= byte < 0x7F for byte in name + value):
            yield f"bytes in the header {name!r}: {value!r}"
    for leak in _LEAKS:
        if leak in answer.body:
            yield f"the answer has {leak!r}"
    is_own = answer.header(_REQUEST_ID) is not None
    if not is_own and not ask.may_break:
        yield f"{answer.status} by the HTTP server itself"
    if is_own and answer.status >= 400 and not _is_shaped(ask, answer):
        yield f"{answer.status} in no shape of '{ask.shape}': {answer.body[:300]!r}"


def _wrong_status(answer: Answer) -> Iterator[str]:
    if answer.status in _PASSING:
        if not (answer.header("Retry-After") or "").isdigit():
            yield f"{answer.status} without Retry-After"
    elif answer.status >= 500:
        yield f"an error of the server: {answer.status} {answer.body[:300]!r}"


def _is_shaped(ask: Ask, answer: Answer) -> bool:
    if ask.method == "HEAD":
        return not answer.body
    return any(is_so(answer) for kind, is_so in _SHAPED.items() if ask.shape in {kind, "any"})


def _is_problem(answer: Answer) -> bool:
    """RFC 9457, with a code."""
    body = _json(answer, "application/problem+json")
    return (
        body.get("status") == answer.status
        and body.get("code") in CODES
        and all(isinstance(body.get(name), str) for name in ("type", "title", "detail"))
        and answer.header("Cache-Control") == "no-store"
    )


def _is_detail(answer: Answer) -> bool:
    """As django-chunked-upload has it, with a code."""
    body = _json(answer, "application/json")
    return isinstance(body.get("detail"), str) and body.get("code") in CODES


def _is_page(answer: Answer) -> bool:
    """A page, a fragment of one, or nothing where Django only names the methods there are."""
    kind = answer.header("Content-Type") or ""
    if answer.status == 405 and not answer.body:
        return answer.header("Allow") is not None
    if answer.header("HX-Reswap") or answer.header("HX-Redirect"):
        return not answer.body
    return kind.startswith("text/html") and bool(_OWN_PAGE.search(answer.body))


_SHAPED = {"problem": _is_problem, "detail": _is_detail, "page": _is_page}


def _json(answer: Answer, media_type: str) -> dict[str, Any]:
    if (answer.header("Content-Type") or "").partition(";")[0] != media_type:
        return {}
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
