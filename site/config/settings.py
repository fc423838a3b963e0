"""Settings of the Holdfast site. Everything an operator sets comes from the environment."""

import logging
import os
from datetime import timedelta
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from .addresses import networks
from .environment import is_local, names, switch, whole_number
from .guards import guards
from .mail import mail_server
from .secret import private_file, secret_key

BASE_DIR = Path(__file__).resolve().parents[2]
#: Database, uploads, collected static files and the secret key.
DATA_DIR = Path(os.environ.get("HOLDFAST_DATA", BASE_DIR / "var")).resolve()

DEBUG = switch("HOLDFAST_DEBUG")
SECRET_KEY = secret_key(DATA_DIR)
ALLOWED_HOSTS = names("HOLDFAST_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = names("HOLDFAST_ORIGINS")
if DEBUG and not all(map(is_local, ALLOWED_HOSTS)):
    raise ImproperlyConfigured(
        "HOLDFAST_DEBUG=1 shows source and settings to whoever causes an error, so it is refused "
        "with HOLDFAST_HOSTS that others may reach. Unset one of the two."
    )

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_tasks",
    "django.forms",
    "axes",
    "uploads",
    "examples.topic_collections",
]
MIDDLEWARE = [
    # First, so that every answer carries its request's id.
    "uploads.protocols.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Before all that reads or sets a cookie or serves a file.
    "uploads.protocols.download_host.DownloadHostMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "uploads.web.timezones.TimezoneMiddleware",
    "django.middleware.common.CommonMiddleware",
    "uploads.web.form_bodies.FormBodiesMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "uploads.web.headers.ContentSecurityPolicyMiddleware",
    # Last, so that its answers have what the others add.
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

#: Widgets too are looked for in the folder above.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

_DATABASE = DATA_DIR / "holdfast.sqlite3"
DATABASES = {
    "default": dj_database_url.config(
        env="HOLDFAST_DATABASE_URL",
        default=f"sqlite:///{_DATABASE}",
        # The server's threads come and go, and a kept connection would stay open behind each.
        conn_max_age=0,
    )
}
if not os.environ.get("HOLDFAST_DATABASE_URL"):
    # Hashes of passwords and keys of sessions are in it. SQLite's other files are as private.
    private_file(_DATABASE)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Writers wait for each other at BEGIN instead of failing in the middle.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # NORMAL outlives a killed process; the engine asks for FULL where a file is completed.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = [
    # First, so that whoever is locked out is refused before a password is looked at.
    "axes.backends.AxesStandaloneBackend",
    "config.backends.PasswordBackend",
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "uploads:dashboard"
LOGOUT_REDIRECT_URL = "login"
#: Seconds that the link of a mail works.
PASSWORD_RESET_TIMEOUT = 4 * 60 * 60

#: Proxies that are believed whom they speak for (`addresses.py`).
PROXIES = networks(names("HOLDFAST_PROXIES"))
#: Of sign-ins, by account and address together (`throttling.py`).
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = whole_number("HOLDFAST_SIGN_IN_FAILURES", 10)
#: Failures count for so long, and so long is who had too many refused.
AXES_COOLOFF_TIME = timedelta(minutes=whole_number("HOLDFAST_SIGN_IN_MINUTES", 15))
#: Whoever keeps trying meanwhile does not make it longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "config.addresses.client_address"
AXES_LOCKOUT_CALLABLE = "config.throttling.locked_out"
#: Of forms, what is stored as asterisks beside `password`.
AXES_SENSITIVE_PARAMETERS = [
    "username",
    "email",
    "old_password",
    "new_password1",
    "new_password2",
    "csrfmiddlewaretoken",
]
#: What is kept is what is counted: failures, until they count no more.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

#: Without a mail server, whoever runs the site sets new passwords.
_EMAIL_URL = os.environ.get("HOLDFAST_EMAIL_URL")
PASSWORD_RESET_BY_MAIL = bool(_EMAIL_URL)
if _EMAIL_URL:
    _MAIL = mail_server(_EMAIL_URL)
    if "*" in ALLOWED_HOSTS or not os.environ.get("HOLDFAST_EMAIL_FROM"):
        raise ImproperlyConfigured(
            "HOLDFAST_EMAIL_URL needs HOLDFAST_EMAIL_FROM, the address that mails come from, and "
            "names instead of * in HOLDFAST_HOSTS: a mail's link leads to the host of a request."
        )
    DEFAULT_FROM_EMAIL = os.environ["HOLDFAST_EMAIL_FROM"]
    EMAIL_BACKEND, EMAIL_FILE_PATH = _MAIL.backend, _MAIL.folder
    EMAIL_HOST, EMAIL_PORT = _MAIL.host, _MAIL.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.user, _MAIL.password
    EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.use_tls, _MAIL.use_ssl
    #: Seconds; whoever asks for a link waits for it.
    EMAIL_TIMEOUT = 10

LANGUAGE_CODE = "en"
#: What there are whole translations of; each browser is answered in the one it asks for.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
#: Those of the app: templates and page modules, which stand outside it, are translated there too.
LOCALE_PATHS = [BASE_DIR / "uploads" / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.staticfiles.ModuleManifestStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
#: A header that the proxy sets to `https`, and takes from requests that bring it along. Only with
#: it can we tell which requests came by TLS: HSTS is sent to those, and the others led there.
_TLS_HEADER = os.environ.get("HOLDFAST_TLS_HEADER", "")
if _TLS_HEADER:
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_TLS_HEADER.upper().replace('-', '_')}", "https")
    SECURE_SSL_REDIRECT = True
#: Whoever names trusted origins is behind a proxy that ends TLS; then cookies stay on it.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(_TLS_HEADER or CSRF_TRUSTED_ORIGINS) and all(
    origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS
)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
#: Seconds that browsers keep to https once they were here by it. An hour heals a mistake by itself.
SECURE_HSTS_SECONDS = whole_number("HOLDFAST_HSTS_SECONDS", 3600, 0) if SESSION_COOKIE_SECURE else 0
SILENCED_SYSTEM_CHECKS = [
    # HSTS for subdomains, and on the browsers' lists: other sites' matter, and hard to take back.
    "security.W005",
    "security.W021",
]
if SESSION_COOKIE_SECURE and not _TLS_HEADER:
    # Leading to https is then the proxy's, which alone knows what came by TLS: we would lead in
    # circles.
    SILENCED_SYSTEM_CHECKS.append("security.W008")

#: Chunks never pass through these: only pages, JSON and the fields of a form do.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

#: The topic collections (`examples/topic_collections/conf.py` says what each is for).
CHUNKED_UPLOAD_MAX_BYTES = int(os.environ.get("CHUNKED_UPLOAD_MAX_BYTES", "524288000"))
CHUNKED_UPLOAD_EXPIRATION_DELTA = timedelta(
    seconds=int(os.environ.get("CHUNKED_UPLOAD_EXPIRATION_DELTA", "86400"))
)
#: The folder of all uploads: a path, or one relative to the data folder.
CHUNKED_UPLOAD_PATH = DATA_DIR / os.environ.get("CHUNKED_UPLOAD_PATH", "uploads")
TOPIC_COLLECTIONS_BACKUPS = DATA_DIR / "topic-collections"

TASKS = {"default": {"BACKEND": "uploads.engine.threads.ThreadBackend"}}
UPLOADS = {
    "ROOT": CHUNKED_UPLOAD_PATH,
    "DURABILITY": os.environ.get("HOLDFAST_DURABILITY", "file"),
    **guards(),
    "ACCEL_PREFIX": os.environ.get("HOLDFAST_ACCEL_PREFIX", ""),
    "DOWNLOAD_ORIGIN": os.environ.get("HOLDFAST_DOWNLOAD_ORIGIN", ""),
    "CORS_ORIGINS": names("HOLDFAST_CORS_ORIGINS"),
}


def without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "{asctime} {levelname} {name} [{request_id}]: {message}",
            "style": "{",
        }
    },
    "filters": {
        "request_id": {"()": "uploads.protocols.request_ids.RequestIdFilter"},
        # A refusal for want of room or time is an answer, not an error of the server.
        "unexpected": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(record, "status_code", None) not in {503, 507},
        },
        # What a client alone brings about is worth a line, not a hundred of a traceback.
        "brief": {"()": "django.utils.log.CallbackFilter", "callback": without_traceback},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "line",
        },
        "provoked": {
            "class": "logging.StreamHandler",
            "filters": ["request_id", "brief"],
            "formatter": "line",
        },
    },
    "loggers": {
        "uploads": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.request": {
            "handlers": ["console"],
            "filters": ["unexpected"],
            "level": "ERROR",
            "propagate": False,
        },
        # Who is refused for too many attempts, and mails that could not be sent.
        "config": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "django.contrib.auth": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        # A line for each wrong password would drown them.
        "axes": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        # Unknown host names, and forms from unknown origins.
        "django.security": {"handlers": ["provoked"], "level": "WARNING", "propagate": False},
    },
}
