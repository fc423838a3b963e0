"""Every way an upload can be refused: one exception each, with a stable code.

Nothing here knows HTTP. Each protocol owns one table from these classes to its own statuses.
`detail` says what is wrong, what was expected and what to do next; `members` are facts a
program can act on (the missing chunks, the expected length).
"""

from typing import Any


class UploadError(Exception):
    """The root of all refusals. `code` never changes once released; `title` is for people."""

    code = "upload_error"
    title = "The upload was refused"
    #: Seconds after which the same request may succeed, where waiting helps.
    retry_after: int | None = None

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members


class InvalidRequest(UploadError):
    code = "invalid_request"
    title = "The request is malformed"


class NoFileChosen(InvalidRequest):
    code = "no_file"
    title = "The form has no file"


class InvalidFilename(InvalidRequest):
    code = "invalid_filename"
    title = "The file name cannot be used"


class TicketInvalid(InvalidRequest):
    code = "ticket_invalid"
    title = "The form's ticket is not valid"


class TicketExpired(InvalidRequest):
    code = "ticket_expired"
    title = "The form's ticket is too old"


class LengthMismatch(InvalidRequest):
    code = "length_mismatch"
    title = "The body has the wrong length"


class RangeMismatch(InvalidRequest):
    code = "range_mismatch"
    title = "The declared range is not the chunk's range"


class LengthRequired(UploadError):
    code = "length_required"
    title = "Content-Length is required"


class UnsupportedMedia(UploadError):
    code = "unsupported_media_type"
    title = "The body's media type is not understood here"


class FileTypeNotAllowed(UnsupportedMedia):
    code = "type_not_allowed"
    title = "Files of this kind are not taken here"


class ContentRefused(UnsupportedMedia):
    """Somebody has looked at the content and does not take it: the upload has failed."""

    code = "content_refused"
    title = "The content of this file is not taken here"


class MethodNotAllowed(UploadError):
    code = "method_not_allowed"
    title = "This address does not answer that method"


class NotAuthenticated(UploadError):
    code = "not_authenticated"
    title = "Signing in is required"

    def __init__(self, detail: str, *, token_refused: bool = False, **members: Any) -> None:
        """`token_refused`: a token came, and is unknown, revoked or expired."""
        super().__init__(detail, **members)
        self.token_refused = token_refused


class InsufficientScope(UploadError):
    code = "insufficient_scope"
    title = "The token may not do this"


class CsrfFailed(UploadError):
    code = "csrf_failed"
    title = "The CSRF token is missing or wrong"


class NotFound(UploadError):
    """Unknown, deleted or somebody else's: deliberately the same answer (P9)."""

    code = "not_found"
    title = "There is nothing here"


class SessionNotFound(NotFound):
    code = "session_not_found"
    title = "There is no such upload"


class ChunkNotFound(UploadError):
    code = "chunk_not_found"
    title = "The chunk index is out of bounds"


class ChunkConflict(UploadError):
    code = "chunk_conflict"
    title = "This chunk was received with other bytes"


class ChunksMissing(UploadError):
    code = "chunks_missing"
    title = "Chunks are still missing"


class WrongState(UploadError):
    code = "wrong_state"
    title = "The upload's state does not allow this"


class SessionFailed(WrongState):
    code = "session_failed"
    title = "The upload has failed"


class HashConflict(WrongState):
    code = "hash_conflict"
    title = "Another SHA-256 is declared already"


class OffsetMismatch(WrongState):
    code = "offset_mismatch"
    title = "The upload goes on at another offset"


class PartOnly(WrongState):
    code = "part_only"
    title = "The upload is a part of a larger file"


class JoinedOnly(WrongState):
    code = "joined_only"
    title = "The upload is joined of others"


class ContentNotReady(WrongState):
    code = "content_not_ready"
    title = "The content is not complete yet"


class ContentDamaged(WrongState):
    code = "content_damaged"
    title = "The stored file is damaged"


class SessionGone(UploadError):
    """The session exists no longer for uploading: it was cancelled or it expired."""

    code = "session_gone"
    title = "The upload is gone"


class SessionCancelled(SessionGone):
    code = "session_cancelled"
    title = "The upload was cancelled"


class SessionExpired(SessionGone):
    code = "session_expired"
    title = "The upload has expired"


class LinkExpired(UploadError):
    """The address of content on the download host, which is good for some minutes."""

    code = "link_expired"
    title = "This address of the file is too old"


class PreconditionFailed(UploadError):
    code = "precondition_failed"
    title = "The file is not the one that the request is about"


class VersionNotSpoken(PreconditionFailed):
    code = "version_not_spoken"
    title = "The protocol's version is not spoken here"


class RangeNotSatisfiable(UploadError):
    code = "range_not_satisfiable"
    title = "The file has no bytes in this range"


class TooLarge(UploadError):
    code = "too_large"
    title = "This is larger than allowed"


class QuotaExceeded(TooLarge):
    code = "quota_exceeded"
    title = "This would be more than you may have here"


class DigestMismatch(UploadError):
    code = "digest_mismatch"
    title = "The bytes do not match the declared digest"


class Unavailable(UploadError):
    """Something transient: nothing was changed and the same request may succeed later."""

    code = "unavailable"
    title = "The server cannot take this right now"
    retry_after = 2


class TooManyRequests(Unavailable):
    code = "too_many_requests"
    title = "Too much of yours is under way already"
    retry_after = 1


class StorageUnavailable(Unavailable):
    code = "storage_unavailable"
    title = "The storage cannot be written right now"
    retry_after = 10


class StorageFull(UploadError):
    code = "storage_full"
    title = "The server's storage is full"
    retry_after = 60
