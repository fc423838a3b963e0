"""The WSGI application. site/ must be on sys.path, as `manage.py` puts it."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_wsgi_application()

#: What Django decodes forms and queries by. Some of Python's other codecs (rot13, hex) are no
#: encodings of text, and would end in an error of the server's.
_CHARSETS = {"", "utf-8", "utf8", "us-ascii", "iso-8859-1"}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["CONTENT_TYPE"] = _understood(environ.get("CONTENT_TYPE", ""))
    return _django(environ, start_response)


def _understood(content_type: str) -> str:
    """`content_type`, or that of unknown bytes where Django could not make sense of it."""
    try:
        _, parameters = parse_header_parameters(content_type)
    except (ValueError, LookupError):
        return "application/octet-stream"
    known = str(parameters.get("charset", "")).lower() in _CHARSETS
    return content_type if known else "application/octet-stream"
