"""System checks: each mistake in a project's settings is found, and its hint says what mends it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connections
from pytest_django import Settings

from tests.support.server import REPOSITORY
from uploads import conf
from uploads.checks import browsing, downloads, folders, pages, serving

#: Changes the settings of a project whose uploads are to lie in a folder, not made yet.
Mistake = Callable[[Settings, Path], None]

CSRF = "django.middleware.csrf.CsrfViewMiddleware"
FORM_BODIES = "uploads.web.form_bodies.FormBodiesMiddleware"
NOT_CALLABLE = "tests.test_checks.REPOSITORY"


@pytest.fixture(autouse=True)
def real_queue(settings: Settings) -> None:
    """That of the site: tests run theirs in place, which is one of the mistakes."""
    settings.TASKS = {"default": {"BACKEND": "uploads.engine.threads.ThreadBackend"}}


def found() -> list[CheckMessage]:
    return run_checks(tags=["uploads"])


def ids() -> set[str]:
    return {str(message.id) for message in found()}


def change_uploads(settings: Settings, **changes: Any) -> None:
    setattr(settings, conf.SETTING, conf.given(**changes))


def without(names: list[str], *gone: str) -> list[str]:
    left = [name for name in names if name not in gone]
    assert len(left) == len(names) - len(gone)
    return left


def setting(name: str, value: Any) -> Mistake:
    return lambda settings, root: setattr(settings, name, value)


def uploads_setting(**changes: Any) -> Mistake:
    return lambda settings, root: change_uploads(settings, **changes)


def file_in_the_place_of_the_folder(settings: Settings, root: Path) -> None:
    root.parent.joinpath("file").write_text("")
    change_uploads(settings, ROOT=root.parent / "file" / "uploads")


def static_root_around_it(settings: Settings, root: Path) -> None:
    settings.STATIC_ROOT = str(root.parent)


def media_root_within_it(settings: Settings, root: Path) -> None:
    settings.MEDIA_ROOT = root / "content"


def static_files_dir_with_a_prefix(settings: Settings, root: Path) -> None:
    settings.STATICFILES_DIRS = [*settings.STATICFILES_DIRS, ("more", root)]


def location_of_a_storage(settings: Settings, root: Path) -> None:
    backend = "django.core.files.storage.FileSystemStorage"
    public = {"BACKEND": backend, "OPTIONS": {"location": str(root)}}
    settings.STORAGES = {**settings.STORAGES, "public": public}


def a_link_to_it(settings: Settings, root: Path) -> None:
    root.mkdir()
    link = root.parent / "media"
    link.symlink_to(root)
    settings.MEDIA_ROOT = link


def a_link_from_it(settings: Settings, root: Path) -> None:
    """Its content lies elsewhere, in what is served."""
    settings.MEDIA_ROOT = root.parent / "media"
    (settings.MEDIA_ROOT / "kept").mkdir(parents=True)
    root.mkdir()
    (root / "content").symlink_to(settings.MEDIA_ROOT / "kept")


def a_link_in_a_served_folder(settings: Settings, root: Path) -> None:
    root.mkdir()
    settings.MEDIA_ROOT = root.parent / "media"
    settings.MEDIA_ROOT.mkdir()
    (settings.MEDIA_ROOT / "shared").symlink_to(root)


def static_files_of_an_app(settings: Settings, root: Path) -> None:
    change_uploads(settings, ROOT=REPOSITORY / "uploads" / "static" / "uploads-data")


def download_host(*others: str, origin: str = "https://content.test", **changes: Any) -> Mistake:
    """All right, but for the changes."""

    def change(settings: Settings, root: Path) -> None:
        change_uploads(settings, DOWNLOAD_ORIGIN=origin)
        settings.ALLOWED_HOSTS = ["files.test", "content.test", *others]
        for name, value in changes.items():
            setattr(settings, name, value)

    return change


def download_host_too_late(settings: Settings, root: Path) -> None:
    download_host()(settings, root)
    settings.MIDDLEWARE = [
        *without(settings.MIDDLEWARE, downloads.MIDDLEWARE),
        downloads.MIDDLEWARE,
    ]


def download_host_without_its_middleware(settings: Settings, root: Path) -> None:
    download_host()(settings, root)
    settings.MIDDLEWARE = without(settings.MIDDLEWARE, downloads.MIDDLEWARE)


def no_sign_in(settings: Settings, root: Path) -> None:
    settings.MIDDLEWARE = without(settings.MIDDLEWARE, browsing.SIGN_IN[1])


def no_messages(settings: Settings, root: Path) -> None:
    settings.MIDDLEWARE = without(settings.MIDDLEWARE, browsing.MESSAGES)


def forms_bounded_too_late(settings: Settings, root: Path) -> None:
    settings.MIDDLEWARE = [*without(settings.MIDDLEWARE, FORM_BODIES), FORM_BODIES]


def apps_without(*gone: str) -> Mistake:
    def change(settings: Settings, root: Path) -> None:
        settings.INSTALLED_APPS = without(settings.INSTALLED_APPS, *gone)

    return change


def templates(**changes: Any) -> Mistake:
    def change(settings: Settings, root: Path) -> None:
        [engine] = settings.TEMPLATES
        settings.TEMPLATES = [{**engine, **changes}]

    return change


def sessions_in_memory(settings: Settings, root: Path) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"


def static_files(backend: str) -> Mistake:
    def change(settings: Settings, root: Path) -> None:
        settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}

    return change


def tasks(backend: str) -> Mistake:
    return setting("TASKS", {"default": {"BACKEND": f"{backend}Backend"}})


MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
MISTAKES: list[tuple[str, Mistake]] = [
    ("E001", uploads_setting(CHUNK_SIZE=1)),
    ("E003", file_in_the_place_of_the_folder),
    ("E004", static_root_around_it),
    ("E004", media_root_within_it),
    ("E004", static_files_dir_with_a_prefix),
    ("E004", location_of_a_storage),
    ("E004", a_link_to_it),
    ("E004", a_link_from_it),
    ("E004", a_link_in_a_served_folder),
    ("E004", static_files_of_an_app),
    ("E005", uploads_setting(VALIDATORS=["tests.test_checks.no_such_thing"])),
    ("E005", uploads_setting(VALIDATORS=["no_such_module.check"])),
    ("E005", uploads_setting(VALIDATORS=[NOT_CALLABLE])),
    ("E006", tasks("django_tasks.backends.dummy.Dummy")),
    ("E006", tasks("no_such_module.No")),
    ("E006", setting("TASKS", {"other": {"BACKEND": "uploads.engine.threads.ThreadBackend"}})),
    ("E007", no_sign_in),
    ("E008", setting("ROOT_URLCONF", "tests.support.no_urls")),
    ("E009", templates(DIRS=[], APP_DIRS=True)),
    ("E009", setting("FORM_RENDERER", "django.forms.renderers.DjangoTemplates")),
    ("E010", setting("STATICFILES_DIRS", [])),
    ("E011", setting("USE_TZ", False)),
    ("E020", download_host_without_its_middleware),
    ("E020", download_host_too_late),
    ("E021", download_host(ALLOWED_HOSTS=["files.test"])),
    ("E021", download_host(origin="https://[::2]:8443")),
    ("E022", download_host(ALLOWED_HOSTS=["content.test"])),
    ("E022", download_host(CSRF_TRUSTED_ORIGINS=["https://content.test:8443"])),
    ("E012", uploads_setting(CORS_ORIGINS=["app.example.org"])),
    ("E012", uploads_setting(CORS_ORIGINS=["https://app.example.org/"])),
    ("E012", uploads_setting(CORS_ORIGINS=["https://App.example.org"])),
    ("E012", uploads_setting(CORS_ORIGINS=["https://app.example.org:443"])),
    ("E012", uploads_setting(CORS_ORIGINS=["https://*.example.org"])),
    ("E012", uploads_setting(CORS_ORIGINS=["null"])),
    ("E012", uploads_setting(CORS_ORIGINS=["*", "https://app.example.org"])),
    ("W002", uploads_setting(ROOT="uploads-data")),
    ("W004", setting("MIGRATION_MODULES", {"uploads": None})),
    ("W005", tasks("django_tasks.backends.immediate.Immediate")),
    ("W005", setting("TASKS", None)),
    ("W006", apps_without("django_tasks")),
    ("W007", setting("ASGI_APPLICATION", "config.asgi.application")),
    ("W008", setting("DATA_UPLOAD_MAX_MEMORY_SIZE", None)),
    ("W008", setting("DATA_UPLOAD_MAX_MEMORY_SIZE", 500 * 1024**2)),
    ("W008", setting("FILE_UPLOAD_MAX_MEMORY_SIZE", 500 * 1024**2)),
    ("W009", sessions_in_memory),
    ("W010", forms_bounded_too_late),
    ("W011", setting("LOGIN_URL", "/accounts/login/")),
    ("W011", setting("LOGIN_URL", "no-such-name")),
    ("W012", templates(OPTIONS={"context_processors": list(pages.CONTEXT_PROCESSORS[:2])})),
    ("W013", static_files(MANIFEST)),
    ("W015", no_messages),
    ("W020", uploads_setting(ACCEL_PREFIX="/uploads/")),
    ("W020", uploads_setting(ACCEL_PREFIX="/tokens/")),
    ("W020", uploads_setting(ACCEL_PREFIX="/api/chunked-upload/complete/")),
    ("W020", uploads_setting(ACCEL_PREFIX="/static/content/")),
    ("W021", download_host(SESSION_COOKIE_DOMAIN="content.test")),
    ("W021", download_host(CSRF_COOKIE_DOMAIN=".test")),
]


@pytest.mark.parametrize(
    ("expected", "make"),
    MISTAKES,
    ids=[f"{number}-{name}" for number, (name, _) in enumerate(MISTAKES)],
)
def test_a_mistake_in_the_settings_is_found(
    expected: str,
    make: Mistake,
    settings: Settings,
    upload_root: Path,
) -> None:
    assert ids() == set()
    make(settings, upload_root)
    messages = found()
    assert {str(message.id) for message in messages} == {f"uploads.{expected}"}
    for message in messages:
        assert message.hint
        assert message.level >= (40 if expected.startswith("E") else 30)


@pytest.mark.parametrize(
    "right",
    [
        uploads_setting(ACCEL_PREFIX="/protected-uploads/"),
        download_host(),
        download_host(SESSION_COOKIE_DOMAIN="files.test"),
        download_host(ALLOWED_HOSTS=["*"], CSRF_TRUSTED_ORIGINS=["https://files.test"]),
    ],
)
def test_what_is_right_is_not_complained_of(
    right: Mistake, settings: Settings, upload_root: Path
) -> None:
    right(settings, upload_root)
    assert ids() == set()


def test_another_spelling_of_a_served_folder_is_found_where_case_makes_no_difference(
    settings: Settings, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the disks of other systems; here the two are told to be one."""
    settings.MEDIA_ROOT = upload_root.parent / "MEDIA"
    settings.MEDIA_ROOT.mkdir()
    (upload_root.parent / "media").mkdir()
    change_uploads(settings, ROOT=upload_root.parent / "media" / "uploads")
    assert ids() == set()
    monkeypatch.setattr(Path, "samefile", lambda one, other: str(one).lower() == str(other).lower())
    assert ids() == {"uploads.E004"}


@pytest.mark.parametrize(
    "origins",
    [
        ["*"],
        ["https://app.example.org", "http://localhost:3000"],
        ["http://127.0.0.1:8000", "http://[::1]:8000"],
    ],
)
def test_origins_as_browsers_call_them_are_none(settings: Settings, origins: list[str]) -> None:
    change_uploads(settings, CORS_ORIGINS=origins)
    assert ids() == set()


def test_e001_hides_nothing_else_and_breaks_no_other_check(settings: Settings) -> None:
    setattr(settings, conf.SETTING, {})
    settings.LOGIN_URL = "no-such-name"
    assert ids() == {"uploads.E001", "uploads.W011"}


def test_two_file_systems_are_an_error(upload_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("staging", "content"):
        (upload_root / name).mkdir(parents=True)
    assert ids() == set()
    real = os.stat

    def stat(path: Any, **given: Any) -> Any:
        status = real(path, **given)
        if Path(path) != upload_root / "content":
            return status
        return type("stat", (), {"st_dev": status.st_dev + 1})

    monkeypatch.setattr(folders, "os", type("os", (), {**vars(os), "stat": staticmethod(stat)}))
    assert [error.id for error in folders.check_one_file_system()] == ["uploads.E002"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_of_somebody_else_is_an_error(
    there: bool, upload_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, and tests may run as root."""
    locked = upload_root / "content" if there else upload_root.parent
    locked.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked)
    [error] = folders.check_writable()
    assert error.id == "uploads.E003"
    assert str(locked) in error.msg


@pytest.mark.parametrize(
    "options", [{"transaction_mode": None}, {"transaction_mode": "DEFERRED"}, {"timeout": 5}]
)
def test_sqlite_whose_writers_do_not_wait_is_warned_of(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = connections["default"].settings_dict
    monkeypatch.setitem(given, "OPTIONS", {**given["OPTIONS"], **options})
    assert ids() == {"uploads.W003"}


def test_sqlite_as_django_has_it_by_itself_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {})
    [warning] = found()
    assert (warning.id, "DEFERRED" in warning.msg) == ("uploads.W003", True)


@pytest.mark.parametrize("age", [600, None])
def test_connections_that_are_kept_are_warned_of(
    age: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", age)
    assert ids() == {"uploads.W014"}


def test_p5_atomic_requests_are_warned_of(settings: Settings) -> None:
    # The settings themselves: to override DATABASES helps nothing, Django says.
    database = settings.DATABASES["default"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(database, "ATOMIC_REQUESTS", True)
        assert ids() == {"uploads.W001"}


def test_middleware_that_is_made_of_django_s_does(settings: Settings) -> None:
    path = browsing.SIGN_IN[1]
    settings.MIDDLEWARE = [
        f"{__name__}.OwnAuthentication" if given == path else given
        for given in [*settings.MIDDLEWARE, "tests.no_such_module.Middleware"]
    ]
    assert browsing.check_sign_in_middleware() == []


class OwnAuthentication:
    """Replaced below: Django's own can be imported only when there are settings."""


@pytest.fixture(autouse=True, scope="module")
def own_authentication() -> None:
    from django.contrib.auth.middleware import AuthenticationMiddleware

    globals()["OwnAuthentication"] = type("Own", (AuthenticationMiddleware,), {})


@pytest.mark.parametrize("url", ["https://sso.example.org/in", "/sign-in/?next=x", "login"])
def test_a_sign_in_that_is_somewhere_is_no_mistake(url: str, settings: Settings) -> None:
    settings.LOGIN_URL = url
    assert browsing.check_sign_in() == []


def test_a_project_without_addresses_is_not_asked_for_them(settings: Settings) -> None:
    settings.ROOT_URLCONF = None
    assert browsing.check_urls() == browsing.check_sign_in() == []


def test_sessions_in_a_cache_that_processes_share_are_no_mistake(settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    shared = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": shared, "LOCATION": "redis://127.0.0.1"}}
    assert serving.check_sessions() == []


def manage(tmp_path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOLDFAST_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_the_settings_of_this_site_have_none_of_these_mistakes(tmp_path: Path) -> None:
    printed = manage(tmp_path, "--deploy")
    assert re.findall(r"\((\w+\.\w+)\)", printed) == [
        # What only who ends TLS in front of it can say.
        "security.W004",
        "security.W008",
        "security.W012",
        "security.W016",
    ], printed


def test_every_check_has_a_test_and_its_line_in_the_document() -> None:
    sources = (REPOSITORY / "uploads" / "checks").glob("*.py")
    given = set(re.findall(r'id="uploads\.(\w+)"', "".join(path.read_text() for path in sources)))
    tested = {name for name, _ in MISTAKES} | {"E002", "W001", "W003", "W014"}
    document = (REPOSITORY / "docs" / "integrate.md").read_text()
    assert given == tested == set(re.findall(r"^\| `uploads\.(\w+)` \|", document, re.MULTILINE))
