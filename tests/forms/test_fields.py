"""E3: ids that come with a form prove nothing: a file is what is this user's, for this form, whole
and unused.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models.signals import post_init
from django.utils.datastructures import MultiValueDict
from pytest_django import Settings

from tests.support.bodies import payload, sha256
from tests.support.sessions import begin, content_of
from tests.support.signatures import file_of
from uploads.engine.admitting import Admission
from uploads.engine.claiming import claim
from uploads.engine.reasons import OTHER_KIND
from uploads.engine.renaming import rename
from uploads.forms import ResumableFileField, UploadedContent, bind_uploads
from uploads.models import FileSession, StoredFile

from .conftest import DATA, SCOPE, PhotosForm, ReportForm, bound

Make = Callable[..., FileSession]


def code(form: forms.Form, field: str = "report") -> str:
    """Of the only error of the field."""
    [error] = form.errors.as_data()[field]
    return str(error.code)


def test_an_upload_becomes_a_file(alice: User, make_upload: Make) -> None:
    session = make_upload(alice)
    form = bound(alice, [str(session.pk)])
    assert form.is_valid(), form.errors
    with form.cleaned_data["report"] as file:
        assert isinstance(file, UploadedContent)
        assert (file.name, file.size, file.content_type) == ("notes.txt", 350, "text/plain")
        assert (file.sha256, file.session_id) == (sha256(DATA), session.pk)
        assert b"".join(file.chunks(100)) == file.open().read() == DATA


def test_no_upload_is_none_and_a_required_one_is_asked_for(alice: User) -> None:
    assert bound(alice, []).is_valid()
    form = PhotosForm({})
    bind_uploads(form, alice)
    assert not form.is_valid()
    assert code(form, "photos") == "required"


@pytest.mark.parametrize("text", ["", "x", "../etc", "\0", "0" * 32, "[]"])
def test_p10_what_is_no_id_is_refused_in_words(alice: User, text: str) -> None:
    form = bound(alice, [text, text])
    assert form.is_valid() == (text == "")
    assert text == "" or code(form) == "gone"


def test_p9_nobody_elses_upload_can_be_used(alice: User, bob: User, make_upload: Make) -> None:
    form = bound(bob, [str(make_upload(alice).pk)])
    assert not form.is_valid()
    assert code(form) == "gone"


@pytest.mark.parametrize("scope", ["", "another form|report|", SCOPE + "app.topic:1"])
def test_e3_an_upload_for_another_form_or_object_cannot_be_used(
    alice: User, make_upload: Make, scope: str
) -> None:
    form = bound(alice, [str(make_upload(alice, scope=scope).pk)])
    assert not form.is_valid()
    assert code(form) == "gone"


def test_e3_an_upload_for_this_object_can_be_used(alice: User, make_upload: Make) -> None:
    session = make_upload(alice, scope=f"{SCOPE}auth.user:{alice.pk}")
    assert bound(alice, [str(session.pk)], obj=alice).is_valid()
    assert not bound(alice, [str(session.pk)]).is_valid()


def test_p1_an_unfinished_upload_cannot_be_used(alice: User) -> None:
    session = begin(alice, DATA, filename="notes.txt", admission=Admission(SCOPE))
    form = bound(alice, [str(session.pk)])
    assert not form.is_valid()
    assert code(form) == "unfinished"
    assert "notes.txt" in str(form.errors)


def test_p1_damaged_content_cannot_be_used(alice: User, make_upload: Make) -> None:
    session = make_upload(alice)
    StoredFile.objects.update(state=StoredFile.State.DAMAGED)
    assert not bound(alice, [str(session.pk)]).is_valid()


def test_e3_what_was_used_cannot_be_used_again(alice: User, make_upload: Make) -> None:
    session = make_upload(alice)
    with transaction.atomic():
        claim([session])
    form = bound(alice, [str(session.pk)])
    assert not form.is_valid()
    assert code(form) == "gone"


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"data": payload(401)}, "too_large"),
        ({"filename": "notes.log"}, "type_not_allowed"),
        ({"mime_type": "text/html"}, "type_not_allowed"),
        ({"data": b""}, "empty"),
    ],
)
def test_limits_hold_for_what_came_around_them(
    alice: User, make_upload: Make, given: dict[str, Any], refusal: str
) -> None:
    form = bound(alice, [str(make_upload(alice, **given).pk)])
    assert not form.is_valid()
    assert code(form) == refusal


def test_a_name_that_was_changed_is_looked_at_again(alice: User, make_upload: Make) -> None:
    session = make_upload(alice)
    rename(session, "notes.log")
    assert not bound(alice, [str(session.pk)]).is_valid()


def test_of_several_ids_for_one_file_the_last_counts(alice: User, make_upload: Make) -> None:
    old, new = make_upload(alice), make_upload(alice, payload(10))
    form = bound(alice, [str(old.pk), str(new.pk)])
    assert form.is_valid()
    assert form.cleaned_data["report"].session_id == new.pk


def test_several_files_come_in_their_order_and_each_once(alice: User, make_upload: Make) -> None:
    scope = f"{PhotosForm.__module__}.PhotosForm|photos|"
    sessions = [make_upload(alice, payload(10, seed), scope) for seed in range(3)]
    ids = [str(session.pk) for session in (*sessions[::-1], sessions[1])]
    form = PhotosForm(MultiValueDict({"photos": ids}))
    bind_uploads(form, alice)
    assert form.is_valid(), form.errors
    assert [file.session_id for file in form.cleaned_data["photos"]] == [
        session.pk for session in sessions[::-1]
    ]


def test_more_files_than_any_page_of_ours_sends_are_refused(alice: User) -> None:
    form = PhotosForm(MultiValueDict({"photos": ["x"] * 1000}))
    bind_uploads(form, alice)
    assert not form.is_valid()
    assert code(form, "photos") == "too_many"


def test_a_field_s_own_validators_see_the_file(alice: User, make_upload: Make) -> None:
    def refuse(file: UploadedContent) -> None:
        raise ValidationError(f"{file.size} bytes", code="own")

    form = bound(alice, [str(make_upload(alice).pk)])
    form.fields["report"].validators.append(refuse)
    assert not form.is_valid()
    assert code(form) == "own"


def test_an_upload_that_is_taken_while_it_is_looked_at_is_gone(
    alice: User, make_upload: Make
) -> None:
    session = make_upload(alice)

    def read(file: UploadedContent) -> None:
        with transaction.atomic():
            claim([session])
        file.read()

    form = bound(alice, [str(session.pk)])
    form.fields["report"].validators.append(read)
    assert not form.is_valid()
    assert code(form) == "gone"


# A browser without JavaScript.


def plain(data: bytes = DATA, name: str = "notes.txt", kind: str = "text/plain") -> Any:
    return SimpleUploadedFile(name, data, kind)


def test_a_plain_file_takes_the_way_of_all_files(alice: User) -> None:
    form = bound(alice, [], [plain()])
    assert form.is_valid(), form.errors
    session = FileSession.objects.get()
    assert (session.scope, session.owner, session.status) == (SCOPE, alice, "completed")
    assert form.cleaned_data["report"].session_id == session.pk
    assert content_of(session) == DATA


def test_a_plain_file_replaces_what_was_there(alice: User, make_upload: Make) -> None:
    form = bound(alice, [str(make_upload(alice, payload(10)).pk)], [plain()])
    assert form.is_valid()
    assert form.cleaned_data["report"].sha256 == sha256(DATA)


def test_the_same_plain_file_again_is_the_same_upload(alice: User) -> None:
    assert bound(alice, [], [plain()]).is_valid()
    assert bound(alice, [], [plain()]).is_valid()
    assert FileSession.objects.count() == 1


@pytest.mark.parametrize(
    ("file", "refusal"),
    [
        (plain(payload(401)), "too_large"),
        (plain(name="notes.log"), "type_not_allowed"),
        (plain(kind="image/png"), "type_not_allowed"),
        (plain(name="a\u202etxt.txt"), "invalid_filename"),
    ],
)
def test_a_plain_file_beyond_the_limits_leaves_nothing(
    alice: User, file: Any, refusal: str
) -> None:
    form = bound(alice, [], [file])
    assert not form.is_valid()
    assert code(form) == refusal
    assert not FileSession.objects.exists()


def test_a_plain_file_that_is_not_what_it_says_is_refused_in_words(alice: User) -> None:
    form = bound(alice, [], [plain(file_of("png", 300))])
    assert not form.is_valid()
    assert code(form) == "content_refused"
    assert form.errors["report"] == [OTHER_KIND]


def test_a_plain_file_that_finds_no_room_is_refused_in_words(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uploads.errors import StorageFull, Unavailable
    from uploads.forms import plain as module

    for error in (StorageFull("full"), Unavailable("busy")):

        def refuse(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(module, "send_whole", refuse)
        form = bound(alice, [], [plain()])
        assert not form.is_valid()
        assert "Nothing was lost" in str(form.errors)


def test_an_empty_plain_file_is_refused(alice: User) -> None:
    form = bound(alice, [], [plain(b"")])
    assert not form.is_valid()
    assert code(form) == "empty"


# What was there before.


def test_without_a_new_file_the_old_one_stays(alice: User) -> None:
    form = ReportForm(MultiValueDict({}), initial={"report": "an old file"})
    bind_uploads(form, alice)
    assert form.is_valid()
    assert form.cleaned_data["report"] == "an old file"
    assert form.changed_data == []


def test_the_old_one_can_be_taken_away_and_not_replaced_at_once(
    alice: User, make_upload: Make
) -> None:
    data = MultiValueDict({"report-clear": ["on"]})
    form = ReportForm(data, initial={"report": "an old file"})
    bind_uploads(form, alice)
    assert form.is_valid()
    assert form.cleaned_data["report"] is False
    data = MultiValueDict({"report-clear": ["on"], "report": [str(make_upload(alice).pk)]})
    form = ReportForm(data)
    bind_uploads(form, alice)
    assert not form.is_valid()
    assert code(form) == "contradiction"


# Whose form it is.


def test_a_form_that_nobody_has_bound_says_what_to_write() -> None:
    form = ReportForm({"report": "x"})
    with pytest.raises(ImproperlyConfigured, match="bind_uploads"):
        form.is_valid()
    with pytest.raises(ImproperlyConfigured, match="bind_uploads"):
        str(ReportForm())


def test_somebody_who_is_not_signed_in_cannot_upload() -> None:
    with pytest.raises(ImproperlyConfigured, match="signed in"):
        bind_uploads(ReportForm(), AnonymousUser())


def test_a_field_needs_its_own_widget(alice: User) -> None:
    class Odd(forms.Form):
        report = ResumableFileField(widget=forms.TextInput)

    form = Odd({"report": "x"})
    bind_uploads(form, alice)
    with pytest.raises(TypeError, match="ResumableFileInput"):
        form.is_valid()


@pytest.mark.parametrize(
    "declared", ["text/html,x", "text/html, ", "a" * 300, "text/\x00html", "ünknown/type", ""]
)
def test_a_plain_file_s_type_that_is_none_counts_as_unknown(alice: User, declared: str) -> None:
    form = PhotosForm({}, MultiValueDict({"photos-file": [plain(name="a.bin", kind=declared)]}))
    bind_uploads(form, alice)
    assert form.is_valid(), form.errors
    [photo] = form.cleaned_data["photos"]
    assert photo.content_type == ""


def test_nothing_that_was_there_is_taken_away_from_a_field_of_several(alice: User) -> None:
    class Optional(forms.Form):
        photos = ResumableFileField(multiple=True, required=False)

    form = Optional({"photos-clear": "on"})
    bind_uploads(form, alice)
    assert form.is_valid()
    assert form.cleaned_data["photos"] == []


def break_down(content: UploadedContent) -> None:
    raise ConnectionError("the scanner is down")


def test_p10_while_a_scanner_is_down_a_plain_file_is_refused_in_words(
    alice: User, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "VALIDATORS": [f"{__name__}.break_down"]}
    form = PhotosForm({}, MultiValueDict({"photos-file": [plain(name="a.bin")]}))
    bind_uploads(form, alice)
    assert not form.is_valid()
    assert code(form, "photos") == "unavailable"


def test_one_upload_that_is_gone_takes_no_other_out_of_the_form(
    alice: User, make_upload: Make
) -> None:
    scope = f"{PhotosForm.__module__}.PhotosForm|photos|"
    sessions = [make_upload(alice, payload(10, seed), scope) for seed in range(3)]
    ids = [str(sessions[0].pk), "no id", "nor this", str(sessions[2].pk)]
    files = [plain(payload(20), "a.exe"), plain(payload(20, seed=1), "b.txt")]
    form = PhotosForm(MultiValueDict({"photos": ids}), MultiValueDict({"photos-file": files}))
    bind_uploads(form, alice)
    loaded: set[Any] = set()

    def note(instance: FileSession, **_: Any) -> None:
        loaded.add(instance.pk)

    assert [str(error.code) for error in form.errors.as_data()["photos"]] == [
        "gone",
        "type_not_allowed",
    ]
    sent = FileSession.objects.get(filename="b.txt")
    post_init.connect(note, sender=FileSession)
    try:
        html = str(form["photos"])
    finally:
        post_init.disconnect(note, sender=FileSession)
    assert [str(session.pk) in html for session in (*sessions, sent)] == [True, False, True, True]
    # Of thousands that wait for this form none else is looked at.
    assert loaded == {sessions[0].pk, sessions[2].pk, sent.pk}
