"""The field in a form: files of any size, whatever the network does, and the form never blocked."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.bodies import sha256
from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.waiting import wait_until
from uploads.core.plan import MIB

from .axe import expect_accessible
from .conftest import MakeFile
from .layout import too_wide
from .listening import heard, listen
from .support import HOST, NETWORK_ERRORS, PATIENCE, Complaints, Person, in_django, make_people

pytestmark = pytest.mark.browser

PEOPLE = 40
SIZE = 8 * MIB - 12_345
#: Three chunks are on their way at a time: when so much went up, two are in and some are not.
MIDDLE = 4 * MIB + MIB // 2
#: Of a second round: handshakes, headers.
SMALL_TALK = MIB


@pytest.fixture(scope="module")
def form_server() -> Iterator[Server]:
    with Server(DJANGO_SETTINGS_MODULE="tests.form_pages.settings") as server:
        yield server


@pytest.fixture(scope="module")
def form_people(form_server: Server) -> Iterator[Person]:
    return iter(make_people(form_server, PEOPLE))


@pytest.fixture
def server(form_server: Server) -> Server:
    return form_server


@pytest.fixture
def person(form_people: Iterator[Person]) -> Person:
    return next(form_people)


class Form:
    """A page with a form, and the field of one name in it."""

    def __init__(self, page: Page, name: str = "report") -> None:
        self.page = page
        box = page.locator(f'[data-resumable-file]:has([name="{name}"][data-resumable-name])')
        self.box = box
        self.input = box.locator("input[type=file]")
        self.items = box.locator(".resumable-item")
        self.error = box.locator("[data-resumable-error]")
        self.live = box.locator("[data-resumable-live]")
        self.save = page.get_by_role("button", name="Save", exact=True)

    def button(self, name: str) -> Locator:
        return self.box.get_by_role("button", name=name)

    def choose(self, *paths: Path) -> None:
        self.input.set_input_files(list(paths))

    def expect_phase(self, phase: str) -> None:
        expect(self.items.first).to_have_attribute("data-phase", phase)


Open = Callable[..., Form]


@pytest.fixture
def open_form(
    browser: Browser, proxy: Proxy, person: Person, complaints: Complaints
) -> Iterator[Open]:
    contexts = []

    def open_page(path: str = "/forms/one/", name: str = "report", *, scripts: bool = True) -> Form:
        context = browser.new_context(base_url=proxy.url, java_script_enabled=scripts)
        context.set_default_timeout(PATIENCE)
        cookie = {"name": "sessionid", "value": person.cookie, "domain": HOST, "path": "/"}
        context.add_cookies([cookie])  # type: ignore[list-item]
        complaints.watch(context)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        form = Form(page, name)
        if scripts:
            expect(form.box).to_have_attribute("data-ready", "")
        return form

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def film(make_file: MakeFile) -> Path:
    return make_file("film.bin", SIZE)


def answer_of(form: Form) -> list[str]:
    """The digests that the page says it has taken."""
    form.save.click()
    expect(form.page.locator("pre")).to_be_visible()
    return form.page.locator("pre").inner_text().split()


def received(client: NativeClient) -> int:
    """Chunks that are in of somebody's only upload."""
    [session] = client.request("GET", "/api/v1/uploads").json()["results"] or [{}]
    count: int = session.get("received_chunks", 0)
    return count


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_chosen_file_is_sent_and_its_id_goes_with_the_form(open_form: Open, film: Path) -> None:
    form = open_form()
    form.choose(film)
    form.expect_phase("done")
    expect(form.items).to_contain_text("Complete and verified")
    form.page.get_by_label("Word").fill("yes")
    assert answer_of(form) == [digest(film)]


def test_a_form_shown_again_keeps_the_upload_and_nothing_is_sent_twice(
    open_form: Open, film: Path, proxy: Proxy
) -> None:
    form = open_form()
    form.choose(film)
    form.expect_phase("done")
    form.page.get_by_label("Word").fill("no")
    proxy.reset_count()
    form.save.click()
    expect(form.page.get_by_text("Say yes.")).to_be_visible()
    expect(form.items).to_contain_text("film.bin")
    form.page.get_by_label("Word").fill("yes")
    assert answer_of(form) == [digest(film)]
    assert proxy.bytes_upstream < SMALL_TALK


def test_while_it_is_sent_the_form_says_why_it_waits(
    open_form: Open, film: Path, proxy: Proxy
) -> None:
    form = open_form()
    form.page.get_by_label("Word").fill("yes")
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    expect(form.save).to_have_attribute("aria-disabled", "true")
    form.save.click(force=True)
    expect(form.error).to_contain_text("still on its way")
    assert form.page.evaluate("document.activeElement.closest('.resumable-item') !== null")
    proxy.release()
    form.expect_phase("done")
    expect(form.save).not_to_have_attribute("aria-disabled", "true")
    assert answer_of(form) == [digest(film)]


def test_a_network_that_is_cut_and_comes_back_costs_only_what_was_on_its_way(
    open_form: Open, film: Path, proxy: Proxy, complaints: Complaints
) -> None:
    complaints.allow(NETWORK_ERRORS)
    form = open_form()
    form.page.get_by_label("Word").fill("yes")
    proxy.cut_after(MIDDLE)
    form.choose(film)
    form.expect_phase("retrying")
    proxy.heal()
    form.expect_phase("done")
    assert answer_of(form) == [digest(film)]


def test_after_a_reload_the_file_chosen_again_goes_on_where_it_was(
    open_form: Open, film: Path, proxy: Proxy, complaints: Complaints, client: NativeClient
) -> None:
    complaints.allow(NETWORK_ERRORS)
    form = open_form()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    wait_until(lambda: received(client) >= 2, "two chunks to be in")
    form.page.on("dialog", lambda dialog: dialog.accept())
    # First the line, then the page, or it would go on at once.
    proxy.go_down()
    form.page.close(run_before_unload=False)
    proxy.drop()
    again = open_form()
    pending = again.box.locator(".resumable-pending")
    expect(pending).to_contain_text("film.bin")
    proxy.reset_count()
    again.choose(film)
    again.expect_phase("done")
    expect(pending).to_be_hidden()
    assert proxy.bytes_upstream < SIZE - 2 * MIB + SMALL_TALK
    again.page.get_by_label("Word").fill("yes")
    assert answer_of(again) == [digest(film)]


def test_a_file_is_paused_resumed_replaced_and_removed(
    open_form: Open, film: Path, make_file: MakeFile, proxy: Proxy
) -> None:
    form = open_form()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    form.button("Pause film.bin").click()
    form.expect_phase("paused")
    expect(form.button("Resume film.bin")).to_be_focused()
    proxy.release()
    form.button("Resume film.bin").click()
    form.expect_phase("done")
    other = make_file("other.bin", 1000, seed=1)
    form.choose(other)
    expect(form.items).to_have_count(1)
    form.expect_phase("done")
    expect(form.items).to_contain_text("other.bin")
    form.button("Remove other.bin").click()
    expect(form.items).to_have_count(0)
    expect(form.input).to_be_focused()
    form.page.get_by_label("Word").fill("yes")
    form.save.click()
    expect(form.page.get_by_text("This field is required.")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [("film.mkv", 10, "not one of the files"), ("large.bin", 61 * MIB, "larger than 60.0")],
)
def test_what_is_not_taken_is_refused_before_anything_is_sent(
    open_form: Open, make_file: MakeFile, proxy: Proxy, name: str, size: int, reason: str
) -> None:
    form = open_form()
    path = make_file(name, 10)
    with path.open("r+b") as file:
        file.truncate(size)
    proxy.reset_count()
    form.choose(path)
    expect(form.error).to_contain_text(reason)
    expect(form.items).to_have_count(0)
    assert proxy.bytes_upstream < SMALL_TALK


def test_an_error_of_the_server_is_told_and_leaves_the_form_usable(
    open_form: Open, film: Path, complaints: Complaints
) -> None:
    complaints.allow("400")
    form = open_form("/forms/several/", "first")
    form.box.evaluate("box => { box.dataset.ticket = 'x' }")
    # Read when the field was attached: so attach it anew.
    form.box.evaluate("box => box.replaceWith(box.cloneNode(true))")
    form.choose(film)
    form.expect_phase("failed")
    expect(form.items).to_contain_text("too old")
    expect_accessible(form.page, "failed")
    form.save.click(force=True)
    expect(form.error).to_contain_text("cannot be sent. Remove it")
    expect(form.button("Try again")).to_be_hidden()
    form.button("Remove film.bin").click()
    photos = Form(form.page, "photos")
    photos.choose(film)
    photos.expect_phase("done")
    assert answer_of(photos) == [digest(film)]


def test_several_fields_and_several_files(open_form: Open, make_file: MakeFile) -> None:
    form = open_form("/forms/several/", "photos")
    paths = [make_file(f"{seed}.bin", MIB + seed, seed) for seed in range(3)]
    form.choose(*paths[:2])
    first = Form(form.page, "first")
    first.choose(paths[2])
    expect(form.box.locator("[data-phase=done]")).to_have_count(2)
    first.expect_phase("done")
    assert answer_of(form) == [digest(path) for path in (paths[2], *paths[:2])]


def test_the_forms_of_a_formset_and_one_that_comes_later(
    open_form: Open, make_file: MakeFile
) -> None:
    form = open_form("/forms/rows/", "form-0-report")
    paths = [make_file(f"{seed}.bin", MIB + seed, seed) for seed in range(3)]
    form.choose(paths[0])
    form.expect_phase("done")
    # As scripts that add forms do: a copy, numbered anew.
    form.page.evaluate("""() => {
      const box = document.querySelector('[name="form-1-report"]').closest('[data-resumable-file]');
      const copy = box.cloneNode(true);
      for (const named of copy.querySelectorAll('[name]'))
        named.name = named.name.replace('form-1-', 'form-2-');
      copy.querySelector('input[type=file]').id = 'id_form-2-report';
      document.querySelector('[name=form-TOTAL_FORMS]').value = '3';
      box.after(copy);
    }""")
    late = Form(form.page, "form-2-report")
    late.choose(paths[2])
    late.expect_phase("done")
    assert answer_of(form) == [digest(paths[0]), digest(paths[2])]


def test_by_keyboard_alone(open_form: Open, film: Path, proxy: Proxy) -> None:
    form = open_form()
    form.page.get_by_label("Word").fill("yes")
    form.page.keyboard.press("Tab")
    expect(form.input).to_be_focused()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    form.page.get_by_label("Word").focus()
    form.page.keyboard.press("Enter")
    expect(form.error).to_contain_text("still on its way")
    expect(form.button("Pause film.bin")).to_be_focused()
    form.page.keyboard.press("Enter")
    form.expect_phase("paused")
    proxy.release()
    form.page.keyboard.press("Enter")
    form.expect_phase("done")
    expect(form.live).to_contain_text("complete and verified")
    form.page.get_by_label("Word").focus()
    form.page.keyboard.press("Enter")
    expect(form.page.locator("pre")).to_have_text(digest(film))


def test_without_javascript_a_plain_file_does_the_same(open_form: Open, film: Path) -> None:
    form = open_form(scripts=False)
    form.choose(film)
    form.page.get_by_label("Word").fill("no")
    form.save.click()
    expect(form.page.get_by_text("Say yes.")).to_be_visible()
    expect(form.items).to_contain_text("film.bin")
    form.page.get_by_label("Word").fill("yes")
    assert answer_of(form) == [digest(film)]


def test_a_file_dropped_on_the_field_is_for_the_field(open_form: Open, film: Path) -> None:
    form = open_form()
    content = list(film.read_bytes()[:1000])
    transfer = form.page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.bin'));
          return transfer;
        }""",
        content,
    )
    form.box.dispatch_event("dragenter", {"dataTransfer": transfer})
    expect(form.box).to_have_attribute("data-dragging", "")
    form.box.dispatch_event("drop", {"dataTransfer": transfer})
    form.expect_phase("done")
    form.page.get_by_label("Word").fill("yes")
    assert answer_of(form) == [sha256(bytes(content))]


@pytest.mark.parametrize("width", [320, 1280])
def test_nobody_is_shut_out_in_any_state(
    open_form: Open, film: Path, proxy: Proxy, width: int
) -> None:
    form = open_form()
    form.page.set_viewport_size({"width": width, "height": 800})
    form.page.get_by_label("Word").fill("yes")
    expect_accessible(form.page, "empty")
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    expect_accessible(form.page, "sending")
    form.button("Pause film.bin").click()
    form.expect_phase("paused")
    form.save.click(force=True)
    expect(form.error).to_be_visible()
    expect_accessible(form.page, "refused")
    assert not too_wide(form.page)
    proxy.release()
    form.button("Resume film.bin").click()
    form.expect_phase("done")
    expect_accessible(form.page, "done")


def test_media_types_are_refused_at_once(open_form: Open, make_file: MakeFile) -> None:
    form = open_form("/forms/kinds/", "picture")
    form.choose(make_file("film.bin", 10))
    expect(form.error).to_contain_text("not one of the files taken here: image/*, text/plain")
    expect(form.items).to_have_count(0)
    form.choose(make_file("notes.txt", 10))
    form.expect_phase("done")
    expect(form.error).to_be_hidden()


def test_content_that_is_refused_blocks_neither_the_field_nor_the_form(
    open_form: Open, make_file: MakeFile, complaints: Complaints
) -> None:
    complaints.allow("status of 415")
    form = open_form("/forms/kinds/", "picture")
    photo = make_file("photo.png", 1000)
    photo.write_bytes(content_for("paper.pdf", 1000))
    form.choose(photo)
    form.expect_phase("failed")
    expect(form.items).to_contain_text("content of this file is not what its name and its type say")
    expect(form.items.get_by_role("button")).to_have_text(["Remove photo.png"])
    form.save.click(force=True)
    expect(form.error).to_contain_text("“photo.png” cannot be sent. Remove it, or choose another")
    other = make_file("map.png", 1000, seed=1)
    form.choose(other)
    form.expect_phase("done")
    expect(form.items).to_have_count(1)
    assert answer_of(form) == [sha256(other.read_bytes())]


def test_a_file_chosen_twice_is_one_upload(open_form: Open, make_file: MakeFile) -> None:
    form = open_form("/forms/several/", "photos")
    path = make_file("photo.bin", MIB)
    form.choose(path)
    form.expect_phase("done")
    form.choose(path)
    expect(form.items).to_have_count(1)
    # The same content and name once more, though not the same file for the browser.
    path.touch()
    form.choose(path)
    expect(form.box.locator("[data-phase]:not([data-phase=done])")).to_have_count(0)
    expect(form.items).to_have_count(1)
    assert answer_of(form) == [digest(path)]


def test_a_file_that_was_changed_is_chosen_again_and_goes_on(
    open_form: Open, film: Path, proxy: Proxy, client: NativeClient
) -> None:
    form = open_form("/forms/several/", "photos")
    content = film.read_bytes()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    wait_until(lambda: received(client) >= 2, "two chunks to be in")
    form.button("Pause film.bin").click()
    form.expect_phase("paused")
    film.write_bytes(content + b"more")
    proxy.release()
    form.button("Resume film.bin").click()
    form.expect_phase("failed")
    film.write_bytes(content)
    proxy.reset_count()
    with form.page.expect_file_chooser() as chooser:
        form.button("Choose it again film.bin").click()
    chooser.value.set_files(film)
    form.expect_phase("done")
    expect(form.items).to_have_count(1)
    assert proxy.bytes_upstream < SIZE - 2 * MIB + SMALL_TALK
    assert answer_of(form) == [digest(film)]


def test_what_is_replaced_is_dropped_at_the_server(
    open_form: Open, film: Path, make_file: MakeFile, proxy: Proxy, client: NativeClient
) -> None:
    form = open_form()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    wait_until(lambda: received(client) >= 2, "two chunks to be in")
    form.choose(make_file("other.bin", 1000, seed=1))
    form.expect_phase("done")
    expect(form.items).to_have_count(1)
    proxy.release()

    def states() -> dict[str, str]:
        found = client.request("GET", "/api/v1/uploads").json()["results"]
        return {each["filename"]: each["state"] for each in found}

    wait_until(lambda: states().get("film.bin", "cancelled") == "cancelled", "it to be cancelled")
    assert states()["other.bin"] == "completed"


def test_who_listens_hears_what_matters_and_not_every_number(
    open_form: Open, film: Path, proxy: Proxy
) -> None:
    form = open_form()
    listen(form.page)
    form.page.get_by_label("Word").fill("yes")
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    expect(form.live).to_have_text("film.bin: being sent")
    form.save.click(force=True)
    expect(form.live).to_contain_text("still on its way")
    form.save.click(force=True)
    proxy.release()
    form.expect_phase("done")
    expect(form.live).to_have_text("film.bin: complete and verified")
    said = [text for text in heard(form.page) if text]
    assert [text.partition(".")[2][:16] for text in said[1:3]] == ["bin” is still on"] * 2
    assert len(said) == 4


def test_the_buttons_of_the_form_say_why_they_wait(
    open_form: Open, film: Path, proxy: Proxy
) -> None:
    form = open_form()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    reason = "The form can be sent once every file here is complete, or removed."
    expect(form.save).to_have_accessible_description(reason)
    expect(form.box.get_by_text(reason)).to_be_visible()
    proxy.release()
    form.expect_phase("done")
    expect(form.save).to_have_accessible_description("")
    expect(form.box.get_by_text(reason)).to_be_hidden()


def test_leaving_while_a_file_is_sent_asks_first(
    open_form: Open, film: Path, proxy: Proxy, complaints: Complaints
) -> None:
    form = open_form()
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    with form.page.expect_event("dialog") as asked:
        form.page.once("dialog", lambda dialog: dialog.dismiss())
        form.page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    proxy.release()
    form.expect_phase("done")


def test_a_form_that_is_reset_forgets_what_was_chosen(open_form: Open, film: Path) -> None:
    form = open_form()
    form.choose(film)
    form.expect_phase("done")
    form.page.evaluate("document.querySelector('form').reset()")
    expect(form.items).to_have_count(0)


def test_htmx_sends_and_swaps_the_form(open_form: Open, film: Path, proxy: Proxy) -> None:
    form = open_form("/forms/swapped/")
    form.page.get_by_label("Word").fill("no")
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    form.save.click(force=True)
    expect(form.error).to_contain_text("still on its way")
    with form.page.expect_response("**/forms/swapped/"):
        form.page.get_by_role("button", name="Refresh").click()
    proxy.release()
    form.expect_phase("done")
    expect(form.items).to_have_count(1)
    form.page.get_by_label("Word").fill("no")
    form.save.click()
    expect(form.page.get_by_text("Say yes.")).to_be_visible()
    expect(form.items).to_contain_text("film.bin")
    expect(form.button("Remove film.bin")).to_be_visible()
    form.page.get_by_label("Word").fill("yes")
    assert answer_of(form) == [digest(film)]


def test_a_field_that_is_taken_out_of_the_page_stops_and_holds_nothing_up(
    open_form: Open, film: Path, make_file: MakeFile, proxy: Proxy
) -> None:
    form = open_form("/forms/rows/", "form-0-report")
    other = Form(form.page, "form-1-report")
    small = make_file("small.bin", 1000, seed=1)
    other.choose(small)
    other.expect_phase("done")
    proxy.hold_after(MIDDLE)
    form.choose(film)
    form.expect_phase("sending")
    expect(form.save).to_have_attribute("aria-disabled", "true")
    form.box.evaluate("box => { window.taken = box; box.remove() }")
    expect(form.save).not_to_have_attribute("aria-disabled", "true")
    proxy.release()
    form.page.evaluate("document.querySelector('form').prepend(window.taken)")
    form.expect_phase("paused")
    expect(form.save).to_have_attribute("aria-disabled", "true")
    form.button("Resume film.bin").click()
    form.expect_phase("done")
    assert answer_of(form) == [digest(film), digest(small)]


def test_a_model_form_replaces_its_file(
    open_form: Open, film: Path, server: Server, make_file: MakeFile
) -> None:
    code = (
        "from django.core.files.base import ContentFile\n"
        "from tests.form_pages.models import Parcel\n"
        "parcel = Parcel.objects.create(label='old', report=ContentFile(b'old', 'old.bin'))\n"
        "print(parcel.pk)"
    )
    number = in_django(server, code).strip()
    form = open_form(f"/forms/parcels/{number}/")
    expect(form.box).to_contain_text("parcels/old")
    form.choose(film)
    form.expect_phase("done")
    form.save.click()
    expect(form.box).to_contain_text("parcels/film")
    expect(form.items).to_have_count(0)
    form.page.get_by_label("Remove it").check()
    form.save.click()
    expect(form.box).not_to_contain_text("parcels/")


def test_the_admin_takes_it_and_its_inlines_do(
    open_form: Open, film: Path, server: Server, person: Person, make_file: MakeFile
) -> None:
    code = (
        "from django.contrib.auth.models import User\n"
        f"User.objects.filter(username={person.name!r}).update(is_staff=True, is_superuser=True)"
    )
    in_django(server, code)
    form = open_form("/admin/form_pages/parcel/add/")
    form.choose(film)
    form.expect_phase("done")
    form.page.get_by_label("Label").fill("a parcel")
    form.page.get_by_role("button", name="Add another Slip").click()
    slip, added = (Form(form.page, f"slips-{number}-scan") for number in range(2))
    paths = [make_file(f"slip-{number}.bin", MIB + number, number) for number in range(2)]
    slip.choose(paths[0])
    added.choose(paths[1])
    slip.expect_phase("done")
    added.expect_phase("done")
    form.save.click()
    expect(form.page.get_by_text("was added successfully")).to_be_visible()
    code = (
        "import hashlib\n"
        "from tests.form_pages.models import Parcel\n"
        "parcel = Parcel.objects.get(label='a parcel')\n"
        "for file in [parcel.report, *(slip.scan for slip in parcel.slips.order_by('pk'))]:\n"
        "    print(hashlib.sha256(file.read()).hexdigest())"
    )
    assert in_django(server, code).split() == [digest(path) for path in (film, *paths)]
