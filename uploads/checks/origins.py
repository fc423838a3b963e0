"""Whose pages may upload here: a mistake there lets nobody in, or too many."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from uploads import conf
from uploads.protocols.tus.cors import ANY


@register("uploads")
def check_cors_origins(**_: Any) -> list[CheckMessage]:
    try:
        origins = conf.current().cors_origins
    except ImproperlyConfigured:
        return []
    wrong = [origin for origin in origins if origin != ANY and not conf.ORIGIN.fullmatch(origin)]
    messages: list[CheckMessage] = [
        Error(
            f'UPLOADS["CORS_ORIGINS"] has {origin!r}, which no browser calls an origin: no page '
            "would be let in by it.",
            hint="Write the scheme and the host in lowercase, the port only where it is not the "
            'usual one, and nothing behind: "https://app.example.org"',
            id="uploads.E012",
        )
        for origin in wrong
    ]
    if ANY in origins and len(origins) > 1:
        messages.append(
            Error(
                'UPLOADS["CORS_ORIGINS"] has "*" beside other origins: what is meant for the '
                "others, their users' cookies, is not let in from everywhere, and which of the two "
                "was meant is not known.",
                hint='Name the origins, or "*" alone: UPLOADS["CORS_ORIGINS"] = '
                '["https://app.example.org"]',
                id="uploads.E012",
            )
        )
    return messages
