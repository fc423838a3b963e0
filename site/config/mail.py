"""The mail server, from one URL."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

#: Ports by RFC 5321, 6409 and 8314.
_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
_EXPECTED = (
    "expected smtps://USER:PASSWORD@HOST (TLS from the beginning), smtp+tls://… (STARTTLS), "
    "smtp://HOST (in clear, for a server on the same machine), or file:///FOLDER, which writes "
    "mails there. Special characters of the password are percent-encoded."
)


@dataclass(frozen=True)
class MailServer:
    """As Django's settings called EMAIL_… name the same."""

    backend: str = "django.core.mail.backends.smtp.EmailBackend"
    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    use_tls: bool = False
    use_ssl: bool = False
    #: Of the mails, where they are written into a folder.
    folder: str | None = None


def mail_server(url: str) -> MailServer:
    """Raises ImproperlyConfigured, never telling the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"HOLDFAST_EMAIL_URL is no URL; {_EXPECTED}") from error
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return MailServer(
            backend="django.core.mail.backends.filebased.EmailBackend", folder=unquote(parts.path)
        )
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ImproperlyConfigured(
            f"HOLDFAST_EMAIL_URL begins with {parts.scheme or 'no scheme'!r}; {_EXPECTED}"
        )
    return MailServer(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=parts.scheme == "smtp+tls",
        use_ssl=parts.scheme == "smtps",
    )
