"""What a browser may run is not served as what it is; everything else is."""

import pytest

from uploads.core.active import UNKNOWN, served_type


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "text/html",
        "TEXT/HTML; charset=utf-7",
        " text/html ;x=y",
        "application/xhtml+xml",
        "image/svg+xml",
        "text/xml",
        "application/xml",
        "application/rdf+xml",
        "application/vnd.mozilla.xul+xml",
        "text/xsl",
        "application/xslt+xml",
        "text/javascript",
        "text/javascript1.5",
        "application/x-javascript",
        "text/vbscript",
        "text/css",
        "text/x-component",
        "application/wasm",
        "application/x-shockwave-flash",
        "application/x-xpinstall",
        "application/java-archive",
        "application/hta",
        "multipart/related; boundary=x",
        "multipart/x-mixed-replace",
        "message/rfc822",
        "application/x-mimearchive",
    ],
)
def test_an_active_type_is_served_as_bytes(declared: str) -> None:
    assert served_type(declared) == UNKNOWN


@pytest.mark.parametrize(
    "declared",
    [
        "image/png",
        "video/mp4; codecs=avc1",
        "text/plain; charset=utf-8",
        "text/csv",
        "application/pdf",
        "application/json",
        "application/ld+json",
        "application/zip",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ],
)
def test_a_type_that_nothing_runs_stays_what_it_is(declared: str) -> None:
    assert served_type(declared) == declared
