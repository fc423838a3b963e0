"""The whole page in German: what a browser that asks for it shows has no English left."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.client import NativeClient
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.signatures import content_for
from tests.support.texts import DOMAINS, read_po, texts_of
from uploads.core.plan import MIB

from .conftest import MakeFile
from .support import CHUNK, PATIENCE, Complaints, Dashboard, Person, age, begin

pytestmark = pytest.mark.browser

SIZE = 3 * CHUNK
#: Texts of the document, of its templates, and of what is only heard or hovered over.
_SAID = """() => {
  const said = [document.title];
  const read = (root) => {
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      if (texts.currentNode.parentElement?.closest("script, style, noscript")) continue;
      said.push(texts.currentNode.data);
    }
    for (const element of root.querySelectorAll("*")) {
      for (const name of ["aria-label", "placeholder", "title"]) {
        if (element.hasAttribute(name)) said.push(element.getAttribute(name));
      }
      if (element instanceof HTMLTemplateElement) read(element.content);
    }
  };
  read(document.documentElement);
  return said.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""


def _pattern(text: str) -> str:
    """The text as it is shown, whatever stands for its placeholders."""
    return ".+?".join(map(re.escape, re.split(r"%\(\w+\)[sd]", text)))


def _english() -> re.Pattern[str]:
    """Every text of the source that is another one in German."""
    entries = [entry for domain in DOMAINS for entry in read_po("de", domain)]
    texts = {
        text
        for entry in entries
        for text in filter(None, (entry.msgid, entry.msgid_plural))
        if text not in [said.replace("\u00a0", " ") for said in texts_of(entry)]
    }
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(_pattern, sorted(texts)))})(?!\w)")


ENGLISH = _english()


def expect_no_english(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("lang", "de")
    said = page.evaluate(_SAID)
    assert said
    assert [text for text in said if ENGLISH.search(text)] == []


@pytest.fixture
def context(browser: Browser, proxy: Proxy, complaints: Complaints) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=proxy.url, locale="de-DE")
    context.set_default_timeout(PATIENCE)
    context.set_default_navigation_timeout(PATIENCE)
    complaints.watch(context)
    yield context
    context.close()


def test_an_upload_is_german_from_its_interruption_to_its_details(
    dashboard: Dashboard,
    server: Server,
    client: NativeClient,
    proxy: Proxy,
    complaints: Complaints,
    make_file: MakeFile,
) -> None:
    page = dashboard.page
    expect_no_english(page)
    session = begin(client, "film.mkv", content_for("film.mkv", SIZE, seed=1), [0])
    age(server, session["id"])
    dashboard.open()
    expect(dashboard.banner).to_contain_text("1 Upload wurde unterbrochen.")
    row = dashboard.row("film.mkv")
    row.expect_state("Unterbrochen")
    expect_no_english(page)

    row.resume_with(make_file("film.mkv", SIZE - 1, seed=2), "Fortsetzen")
    expect(row.line).to_contain_text("erwartet 15.728.640 Bytes, diese Datei hat 15.728.639.")
    expect_no_english(page)

    proxy.hold_after(MIB)
    row.resume_with(make_file("film.mkv", SIZE, seed=1), "Fortsetzen")
    row.expect_state("Wird gesendet")
    expect(row.place).to_contain_text("5,0 MB von 15,0 MB")
    expect_no_english(page)

    row.button("Abbrechen").click()
    expect(dashboard.dialog).to_contain_text("Diesen Upload abbrechen?")
    expect_no_english(page)
    dashboard.answer("Behalten")

    row.button("Pausieren").click()
    row.expect_state("Pausiert")
    expect_no_english(page)
    complaints.allow("net::ERR_")
    proxy.drop()
    row.button("Fortsetzen").click()
    row.expect_state("Abgeschlossen")
    expect_no_english(page)

    row.button("Löschen").click()
    expect(dashboard.undo_notice).to_contain_text("„film.mkv“ wurde gelöscht.")
    expect_no_english(page)
    dashboard.undo_notice.get_by_role("button", name="Rückgängig machen").click()

    row.open_details()
    expect_no_english(page)
    page.get_by_label("Dateiname").fill("a/b")
    complaints.allow("status of 422")
    page.get_by_role("button", name="Umbenennen").click()
    refused = page.get_by_role("alert").filter(has_text="Der Name bleibt, wie er ist:")
    expect(refused).to_contain_text("Ein Dateiname ist ein einzelner Name, kein Pfad.")
    expect_no_english(page)


def test_what_is_refused_is_refused_in_german(
    dashboard: Dashboard, complaints: Complaints, make_file: MakeFile
) -> None:
    complaints.allow("status of 415")
    photo = make_file("photo.png", 1000)
    photo.write_bytes(content_for("paper.pdf", 1000))
    chosen = [photo, make_file("setup.exe", 1000)]
    dashboard.page.get_by_label("Dateien auswählen").set_input_files(chosen)
    reason = "Der Inhalt dieser Datei ist nicht, was ihr Name und ihr Typ sagen."
    expect(dashboard.in_tray("photo.png").line).to_contain_text(reason)
    expect(dashboard.in_tray("setup.exe").line).to_contain_text("wird hier nicht angenommen.")
    expect_no_english(dashboard.page)
    dashboard.open()
    row = dashboard.row("photo.png")
    row.expect_state("Fehlgeschlagen")
    expect(row.place).to_contain_text(reason)
    expect_no_english(dashboard.page)


def test_the_pages_around_the_uploads_are_german(
    dashboard: Dashboard, person: Person, complaints: Complaints
) -> None:
    page = dashboard.page
    page.get_by_role("link", name="Zugangstoken").click()
    page.get_by_label("Wofür es ist").fill("nachts sichern")
    page.get_by_role("button", name="Zugangstoken erstellen").click()
    expect(page.get_by_role("main")).to_contain_text("„nachts sichern“ ist erstellt")
    expect_no_english(page)
    page.get_by_role("button", name="Widerrufen nachts sichern").click()
    expect(page.get_by_role("status").filter(has_text="„nachts sichern“")).to_be_visible()
    expect_no_english(page)

    complaints.allow("status of (404|422)")
    page.goto("/uploads/00000000-0000-0000-0000-000000000000/")
    expect(page.get_by_role("heading")).to_have_text("Hier ist nichts")
    expect_no_english(page)
    page.get_by_role("link", name="(Passwort ändern)").click()
    expect(page.get_by_role("heading")).to_have_text("Passwort ändern")
    for label in ("Jetziges Passwort", "Neues Passwort", "Neues Passwort, noch einmal"):
        page.get_by_label(label, exact=True).fill("1")
    page.get_by_role("button", name="Passwort ändern").click()
    expect(page.get_by_role("alert")).to_contain_text("Das Passwort wurde nicht geändert.")
    expect_no_english(page)
    page.get_by_role("button", name="Abmelden").click()
    page.get_by_role("link", name="Passwort vergessen?").click()
    expect(page.get_by_label("E-Mail-Adresse")).to_be_visible()
    expect_no_english(page)
    page.get_by_role("link", name="Zurück zur Anmeldung").click()
    page.get_by_label("Benutzername").fill(person.name)
    page.get_by_label("Passwort").fill("not this one")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect_no_english(page)


@pytest.mark.parametrize("text", ["Resume", "and 3 more", "Starting.", "2 of 3 chunks received"])
def test_english_would_be_noticed(text: str) -> None:
    assert ENGLISH.search(text)
