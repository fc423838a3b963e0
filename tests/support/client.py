"""A small client of the native protocol, for tests and benchmarks."""

from typing import Any

import requests

from .bodies import content_digest, cut, sha256

#: Less than the 75 s after which the server ends stalled connections: whoever is held up by one
#: fails, instead of going on then.
CLIENT_SECONDS = 60.0


class NativeClient:
    """Speaks to the server at `url` with a personal token. Methods return the raw response."""

    def __init__(self, url: str, token: str, timeout: float = CLIENT_SECONDS) -> None:
        self.url = url
        self._timeout = timeout
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, **given: Any) -> requests.Response:
        return self._http.request(method, f"{self.url}{path}", timeout=self._timeout, **given)

    def handshake(self, filename: str, size: int, **fields: Any) -> requests.Response:
        body = {"filename": filename, "size": size, **fields}
        return self.request("POST", "/api/v1/uploads/handshake", json=body)

    def put_chunk(
        self, upload_id: str, index: int, chunk: bytes, *, digest: bool = True
    ) -> requests.Response:
        headers = {"Content-Digest": content_digest(chunk)} if digest else {}
        path = f"/api/v1/uploads/{upload_id}/chunks/{index}"
        return self.request("PUT", path, data=chunk, headers=headers)

    def complete(self, upload_id: str, sha256: str | None = None) -> requests.Response:
        body = {"sha256": sha256} if sha256 else {}
        return self.request("POST", f"/api/v1/uploads/{upload_id}/complete", json=body)

    def status(self, upload_id: str) -> requests.Response:
        return self.request("GET", f"/api/v1/uploads/{upload_id}")

    def delete(self, upload_id: str) -> requests.Response:
        return self.request("DELETE", f"/api/v1/uploads/{upload_id}")

    def content(self, upload_id: str, *, stream: bool = False) -> requests.Response:
        return self.request("GET", f"/api/v1/uploads/{upload_id}/content", stream=stream)

    def begin(self, data: bytes, **fields: Any) -> dict[str, Any]:
        """A handshake for `data` with its hash declared; the answer."""
        answer = self.handshake("file.bin", len(data), **{"sha256": sha256(data), **fields})
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def send_missing(self, data: bytes, session: dict[str, Any]) -> None:
        """Send what the session misses. Raises requests.HTTPError for a refusal."""
        chunks = cut(data, session["chunk_size"])
        for index in session["missing"]:
            self.put_chunk(session["id"], index, chunks[index]).raise_for_status()
