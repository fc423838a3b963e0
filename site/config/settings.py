"""Settings of the Holdfast site. Everything an operator sets comes from the environment."""

import os
from datetime import timedelta
from pathlib import Path

import dj_database_url

from .guards import guards
from .secret import secret_key

BASE_DIR = Path(__file__).resolve().parents[2]
#: Database, uploads, collected static files and the secret key.
DATA_DIR = Path(os.environ.get("HOLDFAST_DATA", BASE_DIR / "var")).resolve()

DEBUG = os.environ.get("HOLDFAST_DEBUG") == "1"
SECRET_KEY = secret_key(DATA_DIR)
ALLOWED_HOSTS = os.environ.get("HOLDFAST_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("HOLDFAST_ORIGINS", "").split(",") if o]

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

DATABASES = {
    "default": dj_database_url.config(
        env="HOLDFAST_DATABASE_URL",
        default=f"sqlite:///{DATA_DIR / 'holdfast.sqlite3'}",
        # The server's threads come and go, and a kept connection would stay open behind each.
        conn_max_age=0,
    )
}
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
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "uploads:dashboard"
LOGOUT_REDIRECT_URL = "login"

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
#: Whoever names trusted origins is behind a proxy that ends TLS; then cookies stay on it.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(CSRF_TRUSTED_ORIGINS) and all(
    origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS
)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

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
    **guards(os.environ),
    "ACCEL_PREFIX": os.environ.get("HOLDFAST_ACCEL_PREFIX", ""),
    "DOWNLOAD_ORIGIN": os.environ.get("HOLDFAST_DOWNLOAD_ORIGIN", ""),
}

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
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "line",
        }
    },
    "loggers": {
        "uploads": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.request": {
            "handlers": ["console"],
            "filters": ["unexpected"],
            "level": "ERROR",
            "propagate": False,
        },
        # Unknown host names, and forms from unknown origins.
        "django.security": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}
