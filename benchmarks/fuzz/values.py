"""Hostile values: those that are known to hurt, and others that are made up.

Not by hypothesis: it is a hundred times slower, and what it makes of a seed depends on what else is
loaded. Our parsers, where its shrinking counts, are tested with it.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

NUMBERS: list[str] = [
    "-1", "0", "1", "2", "3", "255", "256", "9999", "10000", "10001", "262143", "262144", "262145",
    str(2**31 - 1), str(2**31), str(2**32), str(2**53), str(2**63 - 1), str(2**63), str(2**64),
    str(-(2**63)), str(-(2**63) - 1), "9" * 18, "9" * 19, "9" * 400, "9" * 5000, "0" * 300 + "1",
    "-0", "+1", "1.0", "1.5", "1e3", "1e999", "0x10", "1_000", "\u0661", "\u00b2", "\uff11", "",
    " ", " 1", "1 ", "1,2", "NaN", "Infinity", "-Infinity", "null", "true", "1\u2028", "--1",
    "\u22121",
]  # fmt: skip
TEXTS: list[str] = [
    "", " ", "\x00", "a\x00b", "\x7f", "\x1b[31m", "\u202egnp.exe", "\u2066x", "\ufeff", "\ud800",
    "\udfff\ud800", "\U0010ffff", "\ufffe", "e\u0301" * 40, "a" * 255, "a" * 256,
    "\U0001f600" * 255, "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", ".", "..",
    "~", "-rf", "CON", "a/b", "%00", "%2e%2e%2f", "%", "%zz", "<script>alert(1)</script>",
    "\"><img src=x onerror=a>", "'; DROP TABLE x; --", "{{ 7*7 }}", "{% debug %}",
    "${jndi:ldap://x}", "$(id)", "`id`", "|id", "javascript:alert(1)", "data:text/html,x",
    "//evil.example", "https://evil.example/x", "a" * 5000, "\u0130" * 300, "\u1fb7" * 255,
    "a\r\nX-Injected: 1", "a\nb", "\u2028", "\u0085", "a;b=c", "a=b; c=\"d", "*", "%s%n", "{0}",
    "{", "}", "(" * 500, "1" * 40, "null", "undefined",
]  # fmt: skip
#: Where an id belongs. `{own}` and `{other}` become ids of uploads that are there.
IDS: list[str] = [
    "{own}", "{other}", "{hex}", "{upper}", "{{own}}", "urn:uuid:{own}", "{own}x", "x{own}",
    "{own}%00", "{own}/", "{own}%2F", "{own}.json", "00000000-0000-0000-0000-000000000000",
    "f" * 32, "0", "-1", "ffffffff-ffff-ffff-ffff-ffffffffffff", "none", "%F0%9F%98%80", "..",
    "%2e%2e", "a" * 3000, "%ff", "\u0661" * 32, "%00", "*", "null", "[]", "1;2", "{own},{own}",
]  # fmt: skip
RANGES: list[str] = [
    "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-1", "bytes=0-,1-", "bytes=a-b", "bytes={n}-",
    "bytes=-{n}", "bytes=0-{n}", "bytes={n}-{n}", "bytes 0-1/2", "items=0-1", "bytes=", "bytes",
    "bytes=" + "0-0," * 900, "bytes=--1", "BYTES=0-1", "bytes =0-1", "bytes=0-0\t", "=", "-",
]  # fmt: skip
CONTENT_RANGES: list[str] = [
    "bytes 0-{n}/{n}", "bytes {n}-{n}/*", "bytes */{n}", "bytes 0-0/0", "bytes 1-0/5", "bytes 0-1",
    "bytes 0-1/", "bytes /", "bytes -1-5/6", "bytes 0-99/100, bytes 0-99/100", "0-1/2",
    "bytes=0-1/2", "BYTES 0-1/2", "bytes  0-1/2", "bytes 0 - 1/2", "bytes 0-1/x", "bytes {n}/{n}",
]  # fmt: skip
#: RFC 8941, and what it is not.
STRUCTURED: list[str] = [
    "sha-256=:AAAA:", "sha-256=::", "sha-256=:", "sha-256", "sha-256=1", "sha-256=?1",
    "sha-256=\"x\"", "sha-256=:" + "A" * 43 + "=:", "sha-256=:" + "A" * 44 + ":",
    "sha-256=:" + "=" * 44 + ":", "sha-256=:!!!!:", "SHA-256=:AAAA:", "sha-256=:AAAA:;q=1",
    "sha-256=(:AAAA: :BBBB:)", ",", ",,,", "a=1," * 900, "=", ":", "\"", "\"\\\"",
    "sha-256=:" + "A" * 6000 + ":", "blake3=:AAAA:, sha-256=:A:", "md5=:AAAA:", "unixsum=30637",
    "*=1", "a" * 3000, "sha-256=:\xc3\xa4:", "(((((", "x=\"" + "\\" * 999,
]  # fmt: skip
MEDIA_TYPES: list[str] = [
    "", "text/plain", "application/json", "application/json; charset=utf-16", "text/html",
    "application/json; charset=rot13", "application/json; x*=bogus''x", "multipart/form-data",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 300,
    "application/xml", "multipart/form-data; boundary=\"", "multipart/form-data; boundary=\xe4",
    "multipart/mixed; boundary=b", "application/x-www-form-urlencoded; charset=hex",
    "application/x-www-form-urlencoded", "/", ";", ";;;=", "application/offset+octet-stream",
    "application/partial-upload", "a/b; " + "x=y; " * 900, "*/*",
    "multipart/form-data; boundary*=utf-8''%ff", "image/png; charset=\"", "application/json\xff",
]  # fmt: skip
#: Headers that a server, a framework, a protocol or a page of this site looks at.
HEADERS: list[str] = [
    "Accept", "Accept-Encoding", "Accept-Language", "Access-Control-Request-Method",
    "Authorization", "Cache-Control", "Content-Disposition", "Content-Encoding",
    "Content-Language", "Content-Location", "Content-MD5", "Cookie", "Date", "Expect", "Forwarded",
    "From", "HX-Boosted", "HX-Current-URL", "HX-History-Restore-Request", "HX-Prompt",
    "HX-Request", "HX-Target", "HX-Trigger", "Host", "If-Match", "If-Modified-Since",
    "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Origin", "Pragma",
    "Priority", "Proxy", "Proxy-Authorization", "Range", "Referer", "Repr-Digest",
    "Sec-Fetch-Site", "TE", "Tus-Resumable", "Upload-Checksum", "Upload-Complete", "Upload-Concat",
    "Upload-Defer-Length", "Upload-Draft-Interop-Version", "Upload-Length", "Upload-Metadata",
    "Upload-Offset", "User-Agent", "Via", "Want-Content-Digest", "X-CSRFToken", "X-Forwarded-For",
    "X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Holdfast-User",
    "X-Real-IP", "X-Request-ID", "X-Requested-With", "X-Accel-Redirect", "X-Sendfile",
]  # fmt: skip
HEADER_VALUES: list[str] = [
    "", " ", ",", ";", "=", "*", "\"", "W/", "W/\"x\"", "*;q=1.5", "gzip;q=x", "de-" * 300,
    "a" * 4000, "\x80\xff", "\xe4\xf6", "\u65e5\u672c", "100-continue", "100-CONTINUE, x", "true",
    "null", "-1", "{n}", "Mon, 32 Foo 9999 99:99:99 GMT", "Thu, 01 Jan 1970 00:00:00 GMT",
    "Sun, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "sessionid=x; csrftoken=\"",
    "timezone=../../etc/passwd", "timezone=" + "a" * 3000, "timezone=Europe/Berlin\x80",
    "timezone=%00", "django_language=../x", "messages=W1siX19qc29uX21lc3NhZ2Ui",
    "sessionid=" + "'" * 100, "Bearer", "Bearer ", "Bearer \xff", "Basic Og==", "Basic !",
    "Digest x", "Bearer " + "h" * 5000, "hft_x", "http://[::1", "https://", "//x",
    "file:///etc/passwd", "evil.example", "localhost:99999", "localhost:x", "[::1]", "a..b",
    "127.0.0.1.", "http://localhost/\xff", "/uploads/%ff/", "1.0.0", "0.2.2", "?1", "?0",
    "filename ZmlsZQ==,x", "filename !!", "sha1 x", "partial", "final;/files/a /files/b",
    "chunked", "identity", "trailers",
]  # fmt: skip
METHODS: list[str] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "Post",
    "QUERY", "X", "M-SEARCH", "PURGE", "A" * 200,
]  # fmt: skip
#: Keys that some view reads from its query.
QUERY_KEYS: list[str] = [
    "q", "state", "status", "sort", "order", "before", "after", "page", "kind", "per", "next",
    "cursor", "from", "lang", "_popup", "_to_field", "e", "o", "p", "all", "app_label",
    "model_name", "field_name", "term", "id", "owner__id__exact", "owner__password__startswith",
    "created_at__year", "filename__regex", "show",
]  # fmt: skip


#: Characters that texts are made of, by the place where trouble is met: controls, quotes and
#: slashes, letters, what changes in a normal form or in case, what is no character at all.
_ALPHABETS = [
    "".join(map(chr, range(0x20))),
    "\"'\\/:;,.=&?#%+<>{}[]()|$`~^*@! \t",
    "abcXYZ019-_",
    "\u0130\u0131\u00df\u1e9e\u0345\u0390\u212b\u0301\u0308\ufb01",
    "\u202a\u202e\u2066\u2069\u200b\u200d\ufeff\u2028\u0085\u00ad",
    "\ud800\udbff\udc00\udfff\ufffe\uffff\U0010ffff\U0001f600\u65e5",
]
#: Levels of a document, and what a list or an object of it has at most.
_DEPTH, _WIDTH = 4, 4


class Hostile:
    """Chooses values for one request, by its own random numbers."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def number(self) -> str:
        if self._rng.random() < 0.2:
            return str(self._rng.randint(-(2 ** self._rng.randint(1, 80)), 2**70))
        return self._rng.choice(NUMBERS)

    def text(self) -> str:
        return self._rng.choice(TEXTS) if self._rng.random() < 0.6 else self._made_up()

    def filled(self, values: list[str]) -> str:
        """One of `values`, with a number where it wants one."""
        return self._rng.choice(values).replace("{n}", self.number())

    def body(self) -> bytes:
        return self._rng.randbytes(int(self._rng.expovariate(1 / 200)))

    def json(self) -> Any:
        """Any value that JSON has, of any type."""
        makers: list[Callable[[], Any]] = [
            lambda: self._document(_DEPTH),
            self.text,
            self.number,
            lambda: self._rng.choice([None, True, False, [], {}, "", 0, -1, 1.5, [None], {"": 0}]),
            lambda: self._rng.choice([2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**300, 1e308]),
        ]
        return self._rng.choice(makers)()

    def json_text(self) -> bytes:
        """A body that is hardly a JSON object."""
        depth = self._rng.choice([50, 990, 1100, 20_000])
        return self._rng.choice(
            [
                b"[" * depth,
                b'{"a":' * depth + b"1" + b"}" * depth,
                b"[" * depth + b"]" * depth,
                b"{" + b'"a":1,' * 3 + b'"a":2}',
                b'{"size": ' + b"9" * 5000 + b"}",
                b'{"size": NaN, "filename": Infinity}',
                b'{"filename": "\xff\xfe"}',
                '{"filename": "x"}'.encode("utf-16"),
                b"\xef\xbb\xbf{}",
                b'{"filename": "\\ud800", "size": 1}',
                b"null",
                b'"' + b"a" * 60_000 + b'"',
                b" " * 66_000,
                b"{}{}",
                b"",
                self.body(),
                json.dumps(self._document(_DEPTH)).encode(),
            ]
        )

    def _made_up(self) -> str:
        """Of one alphabet or of several, mostly short."""
        count = int(self._rng.expovariate(1 / 20))
        alphabets = self._rng.sample(_ALPHABETS, self._rng.choice([1, 1, 2, 4]))
        return "".join(self._rng.choices("".join(alphabets), k=count))

    def _document(self, depth: int) -> Any:
        """Any JSON, with numbers and texts that hurt."""
        choice = self._rng.randrange(6 if depth else 4)
        count = self._rng.randint(0, _WIDTH)
        if choice == 0:
            return self._rng.choice([None, True, False, 0, -1, 0.1, 1e308, -0.0])
        if choice == 1:
            return self._rng.randint(-(2**70), 2**70)
        if choice <= 3:
            return self.text()
        if choice == 4:
            return [self._document(depth - 1) for _ in range(count)]
        return {self._made_up(): self._document(depth - 1) for _ in range(count)}
