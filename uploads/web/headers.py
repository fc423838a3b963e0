"""What every page tells the browser it may load and run."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

HEADER = "Content-Security-Policy"

#: WASM is compiled for SHA-256. `data:` images are what Django's admin draws its icons with.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ]
)


class ContentSecurityPolicyMiddleware:
    """Sets the policy on HTML that carries none; a response's own, stricter one stays."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if _is_page(response) and not _is_debug_report(response):
            response.headers.setdefault(HEADER, POLICY)
        return response


def _is_page(response: HttpResponseBase) -> bool:
    return response.get("Content-Type", "").startswith("text/html")


def _is_debug_report(response: HttpResponseBase) -> bool:
    """Django's own reports for developers are made of inline styles and scripts."""
    return bool(settings.DEBUG) and response.status_code in {404, 500}
