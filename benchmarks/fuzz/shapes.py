"""Right requests to the addresses of the protocols, each for an upload that is there."""

import base64
import hashlib
from collections.abc import Callable
from random import Random

from tests.support.bodies import content_digest, payload, sha256

from .addresses import Address
from .drafts import Draft, File
from .population import SENT, Person, Population, Upload, md5

#: Bytes of a new upload. Nothing of them is sent here.
_SIZES = [0, 1, 700, 700, 300_000, 10**7]


class Sender:
    """Who sends a request, and about which upload: chosen by the random numbers of that request."""

    def __init__(self, rng: Random, population: Population, person: Person) -> None:
        self.rng = rng
        self.person = person
        self._population = population

    def upload(self, *roles: str) -> Upload:
        """Mostly the person's own, and mostly in one of `roles`."""
        names = [name for name in ("alice", "bob") if name != self.person.name]
        is_own = self.person.name != "root" and self.rng.random() < 0.93
        owner = self.person.name if is_own else self.rng.choice(names)
        wanted = roles if roles and self.rng.random() < 0.75 else tuple(SENT)
        # A body that hardly moves is of no other: its upload must stay what it was.
        role = self.rng.choice([role for role in wanted if role != "slow"])
        return self._population.uploads[owner, role]

    def chunk(self, upload: Upload) -> tuple[int, bytes]:
        """The last one mostly: it is short."""
        chunks = upload.chunks
        index = 0 if self.rng.random() < 0.05 else len(chunks) - 1
        return index, chunks[index]

    def maybe(self, chance: float = 0.5) -> bool:
        return self.rng.random() < chance

    def size(self) -> int:
        return self.rng.choice(_SIZES)

    def hash(self) -> str:
        return sha256(payload(20, self.rng.randrange(10**9)))


Shape = Callable[[Sender, Address], Draft]


def _handshake(sender: Sender, address: Address) -> Draft:
    chunk_size = "part_size" if address.name.endswith("part-sessions") else "chunk_size"
    json = {
        "filename": "report.pdf",
        "size": sender.size(),
        "folder": sender.rng.choice(["", "a/b", None]),
        "sha256": sender.hash() if sender.maybe() else None,
        "resume_key": sender.hash(),
        "mime_type": "application/pdf",
        chunk_size: sender.rng.choice([None, 262_144, 5 * 1024 * 1024]),
    }
    if not sender.maybe(0.2):
        upload = sender.upload()
        json |= {"size": len(upload.data), "sha256": sha256(upload.data)}
    return Draft(address, "POST", address.path({}), json=json)


def _chunk(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("begun", "half", "whole", "small", "endless")
    index, data = sender.chunk(upload)
    path = address.path({"session_id": upload.id, "index": str(index), "number": str(index + 1)})
    first = index * upload.chunk_size
    if not address.name.endswith(":part") and sender.maybe(0.3):
        fields = [("sha256", sha256(data))]
        files = [File("chunk", "blob", data)]
        return Draft(address, "POST", path, fields=fields, files=files, is_multipart=True)
    draft = Draft(address, "PUT", path, raw=data)
    if sender.maybe():
        draft.set("Content-Digest", content_digest(data, sender.rng.choice(["sha-256", "blake3"])))
    if sender.maybe():
        span = f"bytes {first}-{first + len(data) - 1}/{len(upload.data)}"
        draft.set("Content-Range", span)
    if sender.maybe(0.3):
        draft.set("Upload-Offset", str(first))
    return draft


def _stream(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("begun", "half", "endless", "small")
    path = address.path({"session_id": upload.id})
    if sender.maybe(0.3):
        return Draft(address, sender.rng.choice(["GET", "HEAD"]), path)
    start = {"half": upload.chunk_size, "endless": 200}.get(upload.role, 0)
    draft = Draft(address, "PUT", path, raw=upload.data[start : start + 300])
    draft.set("Upload-Offset", str(start))
    return draft


def _session(sender: Sender, address: Address) -> Draft:
    upload = sender.upload()
    method = sender.rng.choice(["GET", "GET", "HEAD", "DELETE"])
    return Draft(address, method, address.path({"session_id": upload.id}))


def _session_handshake(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("endless", "begun")
    path = address.path({"session_id": upload.id})
    if sender.maybe(0.6):
        return Draft(address, "POST", path, json={"size": len(upload.data)})
    draft = Draft(address, "GET", path)
    if sender.maybe():
        draft.set("HX-Request", "true")
    return draft


def _complete(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("half", "whole", "endless", "failed", "completed")
    path = address.path({"session_id": upload.id})
    return Draft(address, "POST", path, json={"sha256": sha256(upload.data)})


def _content(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("completed")
    method = sender.rng.choice(["GET", "GET", "HEAD"])
    draft = Draft(address, method, address.path({"session_id": upload.id}))
    draft.set("Range", sender.rng.choice(["bytes=0-9", "bytes=-1", "bytes=5-"]))
    if sender.maybe(0.3):
        draft.set("If-Range", f'"{sha256(upload.data)}"')
    return draft


def _list(sender: Sender, address: Address) -> Draft:
    query = sender.rng.choice(["", "state=active", f"before={sender.upload().id}"])
    draft = Draft(address, "GET", address.path({}), query)
    if sender.maybe(0.3):
        draft.set("HX-Request", "true")
    return draft


def _handshakes(sender: Sender, address: Address) -> Draft:
    return _list(sender, address) if sender.maybe(0.2) else _handshake(sender, address)


def _json_init(sender: Sender, address: Address) -> Draft:
    json = {
        "filename": "report.pdf",
        "total_size": sender.size(),
        "mime_type": "application/pdf",
        "file_hash": sender.hash(),
    }
    return Draft(address, "POST", address.path({}), json=json)


def _json_chunk(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("begun", "half", "small", "whole")
    index, data = sender.chunk(upload)
    json = {
        "upload_id": upload.id,
        "chunk_index": index,
        "chunk_data": base64.b64encode(data).decode(),
        "checksum": sha256(data),
    }
    return Draft(address, "POST", address.path({}), json=json)


def _json_reference(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("half", "completed", "failed", "cancelled", "expired")
    return Draft(address, "POST", address.path({}), json={"upload_id": upload.id})


def _json_status(sender: Sender, address: Address) -> Draft:
    return Draft(address, "GET", address.path({"upload_id": sender.upload().id}))


def _chunked(sender: Sender, address: Address) -> Draft:
    in_form = "collections" in address.pieces[-1][0]
    upload = sender.upload("scoped" if in_form else "endless")
    data = upload.data[200:300]
    fields = [("filename", "seeds.txt")]
    if sender.maybe(0.8):
        fields += [("upload_id", upload.hex), ("offset", "200")]
    draft = Draft(
        address,
        "POST",
        address.path(_places(sender)),
        fields=fields,
        files=[File("file", "seeds.txt", data, "text/plain")],
        is_multipart=True,
    )
    if sender.maybe():
        draft.set("Content-Range", f"bytes 200-299/{len(upload.data)}")
    return draft


def _chunked_complete(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("scoped", "endless", "whole")
    fields = [("upload_id", upload.hex), ("md5", md5(upload.data))]
    is_multipart = sender.maybe()
    path = address.path(_places(sender))
    return Draft(address, "POST", path, fields=fields, is_multipart=is_multipart)


def _send(sender: Sender, address: Address) -> Draft:
    data = payload(300, sender.rng.randrange(10**6))
    fields = [("csrfmiddlewaretoken", sender.person.csrf)]
    files = [File("file", "notes.txt", data, "text/plain")]
    draft = Draft(address, "POST", address.path({}), fields=fields, files=files, is_multipart=True)
    if sender.maybe():
        draft.set("Accept", "text/html")
    return draft


def _tus_creation(sender: Sender, address: Address) -> Draft:
    draft = Draft(address, "POST", address.path({}))
    draft.set("Tus-Resumable", "1.0.0")
    if sender.maybe(0.8):
        draft.set("Upload-Length", str(sender.size()))
    else:
        draft.set("Upload-Defer-Length", "1")
    name = base64.b64encode(b"report.pdf").decode()
    draft.set("Upload-Metadata", sender.rng.choice([f"filename {name}", f"name {name},empty"]))
    if sender.maybe(0.2):
        draft.set("Upload-Concat", "partial")
    return draft


def _tus_upload(sender: Sender, address: Address) -> Draft:
    upload = sender.upload("begun", "half", "endless", "small")
    path = address.path({"session_id": upload.id})
    if sender.maybe(0.3):
        draft = Draft(address, sender.rng.choice(["HEAD", "HEAD", "OPTIONS", "DELETE"]), path)
        draft.set("Tus-Resumable", "1.0.0")
        return draft
    start = {"half": upload.chunk_size, "endless": 200}.get(upload.role, 0)
    data = upload.data[start : start + 300]
    draft = Draft(address, "PATCH", path, raw=data)
    draft.set("Tus-Resumable", "1.0.0")
    draft.set("Content-Type", "application/offset+octet-stream")
    draft.set("Upload-Offset", str(start))
    if sender.maybe():
        digest = base64.b64encode(hashlib.sha1(data).digest()).decode()
        draft.set("Upload-Checksum", f"sha1 {digest}")
    return draft


def _places(sender: Sender) -> dict[str, str]:
    return {"pk": str(sender.rng.choice(sender.person.collections))}


#: By the end of the address's name. What is not here is met by generic requests.
SHAPES: dict[str, Shape] = {
    "uploads:handshake": _handshakes,
    "uploads:part-sessions": _handshake,
    "uploads:chunk": _chunk,
    "uploads:part": _chunk,
    "uploads:upload-stream": _stream,
    "uploads:session": _session,
    "uploads:part-session": _session,
    "uploads:session-handshake": _session_handshake,
    "uploads:complete": _complete,
    "uploads:content": _content,
    "uploads:sessions": _list,
    "uploads:dashboard": _list,
    "uploads:json-init": _json_init,
    "uploads:json-chunk": _json_chunk,
    "uploads:json-complete": _json_reference,
    "uploads:json-cancel": _json_reference,
    "uploads:json-status": _json_status,
    "uploads:chunked-upload": _chunked,
    "uploads:chunked-upload-complete": _chunked_complete,
    "uploads:send": _send,
    "uploads:tus-uploads": _tus_creation,
    "uploads:tus-upload": _tus_upload,
    "topic_collections:chunk-upload": _chunked,
    "topic_collections:complete": _chunked_complete,
}
