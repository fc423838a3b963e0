"""Pages of other origins, where the project lets them in: `UPLOADS["CORS_ORIGINS"]`.

The protocol is https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from uploads import conf

#: Any origin, and therefore without anybody's cookies.
ANY = "*"
METHODS = "POST, HEAD, PATCH, DELETE, OPTIONS"
#: What a page may send.
REQUEST_HEADERS = ", ".join(
    (
        "Authorization",
        "Content-Type",
        "Tus-Resumable",
        "Upload-Checksum",
        "Upload-Concat",
        "Upload-Defer-Length",
        "Upload-Length",
        "Upload-Metadata",
        "Upload-Offset",
        "X-CSRFToken",
        "X-HTTP-Method-Override",
        "X-Request-ID",
        "X-Requested-With",
    )
)
#: What it may read.
EXPOSED_HEADERS = ", ".join(
    (
        "Location",
        "Retry-After",
        "Tus-Checksum-Algorithm",
        "Tus-Extension",
        "Tus-Max-Size",
        "Tus-Resumable",
        "Tus-Version",
        "Upload-Concat",
        "Upload-Defer-Length",
        "Upload-Expires",
        "Upload-Length",
        "Upload-Metadata",
        "Upload-Offset",
        "X-Request-ID",
    )
)
#: Seconds for which a browser need not ask again.
MAX_AGE = 24 * 60 * 60


def allow(request: HttpRequest, response: HttpResponseBase) -> None:
    """Tell the browser whether its page may do this, and read the answer."""
    origins = conf.current().cors_origins
    if not origins:
        return
    patch_vary_headers(response, ["Origin"])
    origin = request.headers.get("Origin", "")
    if origin and origin in origins:
        response["Access-Control-Allow-Origin"] = origin
        # Never with ANY: then whatever page somebody visits could act with their cookie.
        response["Access-Control-Allow-Credentials"] = "true"
    elif origin and ANY in origins:
        response["Access-Control-Allow-Origin"] = ANY
    else:
        return
    response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response["Access-Control-Allow-Methods"] = METHODS
        response["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response["Access-Control-Max-Age"] = str(MAX_AGE)
