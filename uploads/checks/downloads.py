"""How content goes out: by nginx, and from a host of its own."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from uploads import conf

MIDDLEWARE = "uploads.protocols.download_host.DownloadHostMiddleware"
#: Before these, so that there is no cookie and no file of the site on the download host.
_LATER = {
    "django.contrib.sessions.middleware.SessionMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
}
#: What Django allows by itself where it is told nothing, for developers.
_DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


@register("uploads")
def check_accel_prefix(**_: Any) -> list[CheckMessage]:
    prefix = _configured().accel_prefix
    taken = _address_within(prefix) if prefix else ""
    if not taken:
        return []
    return [
        CheckWarning(
            f'UPLOADS["ACCEL_PREFIX"], {prefix}, is where this project has {taken}. nginx keeps '
            "that location to itself: what is there would be 404.",
            hint='UPLOADS["ACCEL_PREFIX"] = "/protected-uploads/", and the same in nginx',
            id="uploads.W020",
        )
    ]


@register("uploads")
def check_download_middleware(**_: Any) -> list[CheckMessage]:
    if not _configured().download_origin or _answers_first():
        return []
    return [
        Error(
            f'UPLOADS["DOWNLOAD_ORIGIN"] is set, and {MIDDLEWARE} does not come before the '
            "middleware for sessions and static files: the host of downloads would serve the whole "
            "site, with its cookies, and no content.",
            hint=f'MIDDLEWARE.insert(0, "{MIDDLEWARE}")',
            id="uploads.E020",
        )
    ]


@register("uploads")
def check_download_host_is_allowed(**_: Any) -> list[CheckMessage]:
    host = _download_host()
    if not host or validate_host(host, _allowed_hosts()):
        return []
    return [
        Error(
            f'{host}, the host of UPLOADS["DOWNLOAD_ORIGIN"], is not among the ALLOWED_HOSTS: '
            "every download would be refused (400).",
            hint=f'ALLOWED_HOSTS += ["{host}"]',
            id="uploads.E021",
        )
    ]


@register("uploads")
def check_download_host_is_another(**_: Any) -> list[CheckMessage]:
    host = _download_host()
    if not host or not _is_the_site(host):
        return []
    return [
        Error(
            f'{host}, the host of UPLOADS["DOWNLOAD_ORIGIN"], is the host of the site: nothing but '
            "content would be answered there. Another port is not another host: cookies know none.",
            hint='A name of its own, UPLOADS["DOWNLOAD_ORIGIN"] = "https://content.example.net", '
            "which leads to the same server",
            id="uploads.E022",
        )
    ]


@register("uploads")
def check_cookies_stay_with_the_site(**_: Any) -> list[CheckMessage]:
    host = _download_host()
    return [
        CheckWarning(
            f"{name} is {domain}, so browsers send that cookie to {host} as well, the host of "
            'UPLOADS["DOWNLOAD_ORIGIN"], which is there to have none.',
            hint=f"{name} = None, or a download host under another domain",
            id="uploads.W021",
        )
        for name, domain in _cookie_domains()
        if host and validate_host(host, [f".{domain.lstrip('.')}"])
    ]


def _configured() -> conf.Config:
    """What is set, or nothing where that is wrong, which `check_settings` says."""
    try:
        return conf.current()
    except ImproperlyConfigured:
        return conf.parse({"ROOT": ""})


def _download_host() -> str:
    """As it is in ALLOWED_HOSTS: IPv6 in brackets. Empty without one."""
    name = urlsplit(_configured().download_origin).hostname or ""
    return f"[{name}]" if ":" in name else name


def _answers_first() -> bool:
    given = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in given:
        return False
    return not _LATER & set(given[: given.index(MIDDLEWARE)])


def _allowed_hosts() -> list[str]:
    return list(settings.ALLOWED_HOSTS) or (_DEBUG_HOSTS if settings.DEBUG else [])


def _is_the_site(host: str) -> bool:
    """As far as the settings tell: a name that forms come from, or the only one there is."""
    trusted = {urlsplit(origin).hostname for origin in settings.CSRF_TRUSTED_ORIGINS}
    return host.strip("[]") in trusted or set(_allowed_hosts()) == {host}


def _cookie_domains() -> Iterator[tuple[str, str]]:
    for name in ("SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_DOMAIN"):
        if domain := getattr(settings, name, None):
            yield name, str(domain)


def _address_within(prefix: str) -> str:
    """An address of the project that lies under the prefix, as people know it; else empty."""
    for name in ("STATIC_URL", "MEDIA_URL"):
        path = urlsplit(getattr(settings, name, None) or "").path
        if path.strip("/") and (path.startswith(prefix) or prefix.startswith(path)):
            return f"{name}, {path}"
    if not settings.ROOT_URLCONF:
        return ""
    within = [route for route in _routes(get_resolver().url_patterns) if route.startswith(prefix)]
    return f"the address {within[0]}" if within else _answered_at(prefix)


def _routes(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield route


def _answered_at(prefix: str) -> str:
    try:
        resolve(prefix)
    except Resolver404:
        return ""
    return f"something that answers {prefix}"
