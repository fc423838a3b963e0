"""Forms with files, streamed on as they are parsed; and a chunk as the file field of one."""

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from uploads.core.bodies import READ_SIZE
from uploads.core.digests import Digest, parse_sha256_hex
from uploads.engine.receiving import IncomingChunk, Receipt, incoming_chunk
from uploads.errors import InvalidRequest, TooLarge
from uploads.models import FileSession

from .bodies import WholeForm, content_length

FILE_FIELD = "chunk"
#: Room for boundaries, part headers and the other fields around the chunk.
MAX_OVERHEAD_BYTES = 16 * 1024


class _IntoEngine(FileUploadHandler):
    """Hands each piece of the one file on; keeps nothing."""

    chunk_size = READ_SIZE

    def __init__(self, chunk: IncomingChunk) -> None:
        super().__init__()
        self._chunk = chunk
        self.files = 0

    def new_file(self, field_name: str, *args: object, **kwargs: object) -> None:
        self.files += 1
        if field_name != FILE_FIELD or self.files > 1:
            raise InvalidRequest(f"Send exactly one file, in the field `{FILE_FIELD}`.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._chunk.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        pass


class _Parser(MultiPartParser):
    """Django's own, but with names as they were sent: where one counts, it is checked."""

    def sanitize_file_name(self, file_name: str) -> str:
        return file_name


def read_form(request: HttpRequest, handler: FileUploadHandler) -> QueryDict:
    """Send the files of the form in the body through `handler`; its other fields.

    Not through request.POST: nothing is kept, all is counted. Raises LengthMismatch for a body
    that was cut short, LengthRequired, or InvalidRequest for one that is no form.
    """
    body = WholeForm(request, content_length(request))
    try:
        parser = _Parser(request.META, body, [handler], "utf-8")  # type: ignore[arg-type]
        fields, _ = parser.parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise InvalidRequest("The multipart form could not be read.") from error
    return fields


def receive(request: HttpRequest, session: FileSession, index: int) -> Receipt:
    """Take chunk `index`, which `check_chunk` has passed, from the form in the body.

    Raises what the engine raises, and InvalidRequest or TooLarge for a form that is no such form.
    """
    length = content_length(request)
    limit = session.plan.length(index) + MAX_OVERHEAD_BYTES
    if length > limit:
        raise TooLarge(f"The form around this chunk may have {limit} bytes.", limit=limit)
    # The digest may come after the file, so it is computed in any case.
    with incoming_chunk(session, index, {"sha-256"}) as chunk:
        handler = _IntoEngine(chunk)
        fields = read_form(request, handler)
        if not handler.files:
            raise InvalidRequest(f"The form has no file field `{FILE_FIELD}`.")
        return chunk.commit(_digests(str(fields.get("sha256", ""))))


def _digests(sha256: str) -> list[Digest]:
    if not sha256:
        return []
    try:
        return [Digest("sha-256", bytes.fromhex(parse_sha256_hex(sha256)))]
    except ValueError as reason:
        raise InvalidRequest(f"`sha256` is refused: {reason}.", field="sha256") from reason
