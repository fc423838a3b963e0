"""Pages of other origins: who is let in, and with what (UPLOADS["CORS_ORIGINS"])."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from uploads import conf

from .conftest import Answer, Ask, V, fits

APP = "https://app.example.org"
PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "tus-resumable,upload-offset",
}


def let_in(settings: Settings, *origins: str) -> None:
    settings.UPLOADS = conf.given(CORS_ORIGINS=list(origins))


def cors_headers(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name.startswith("Access-Control-")}


def test_nobody_is_let_in_who_is_not_named(ask: Ask, settings: Settings) -> None:
    answer = ask("OPTIONS /files/", PREFLIGHT, client=Client())
    assert cors_headers(answer) == {}
    assert "Origin" not in answer.get("Vary", "")
    let_in(settings, "https://other.example.org")
    answer = ask("OPTIONS /files/", PREFLIGHT, client=Client())
    assert (answer.status_code, cors_headers(answer)) == (204, {})
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize(
    "origin", ["null", "https://app.example.org.evil.test", "http://app.example.org", "*", ""]
)
def test_an_origin_is_the_named_one_or_it_is_not(ask: Ask, settings: Settings, origin: str) -> None:
    let_in(settings, APP)
    assert cors_headers(ask("OPTIONS /files/", {"Origin": origin})) == {}


def test_a_preflight_is_told_what_a_page_may_send(ask: Ask, settings: Settings) -> None:
    let_in(settings, "https://other.example.org", APP)
    answer = ask("OPTIONS /files/", PREFLIGHT, client=Client())
    assert fits(
        answer,
        204,
        Access_Control_Allow_Origin=APP,
        Access_Control_Allow_Credentials="true",
        Access_Control_Allow_Methods="POST, HEAD, PATCH, DELETE, OPTIONS",
        Access_Control_Max_Age="86400",
    )
    allowed = {name.strip().lower() for name in answer["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= {
        "authorization", "content-type", "tus-resumable", "upload-checksum", "upload-concat",
        "upload-defer-length", "upload-length", "upload-metadata", "upload-offset",
        "x-http-method-override",
    }  # fmt: skip


def test_a_page_may_read_what_the_answers_say(ask: Ask, settings: Settings) -> None:
    let_in(settings, APP)
    answer = ask("POST /files/", V | {"Upload-Length": "5", "Origin": APP})
    assert fits(answer, 201, Access_Control_Allow_Origin=APP, Access_Control_Allow_Methods=None)
    exposed = {name.strip() for name in answer["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {
        "Location", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size",
        "Tus-Checksum-Algorithm", "Upload-Offset", "Upload-Length", "Upload-Metadata",
        "Upload-Expires", "Upload-Concat", "Upload-Defer-Length",
    }  # fmt: skip


def test_a_page_may_read_refusals_too(ask: Ask, settings: Settings) -> None:
    let_in(settings, APP)
    assert fits(ask("HEAD /files/x", V | {"Origin": APP}), 404, Access_Control_Allow_Origin=APP)
    assert fits(ask("HEAD /files/x", {"Origin": APP}), 412, Access_Control_Allow_Origin=APP)
    stranger = ask("POST /files/", V | {"Origin": APP}, client=Client())
    assert fits(stranger, 401, Access_Control_Allow_Origin=APP)


def test_any_origin_is_let_in_without_anybodys_cookie(ask: Ask, settings: Settings) -> None:
    let_in(settings, "*")
    answer = ask("OPTIONS /files/", PREFLIGHT, client=Client())
    assert fits(
        answer,
        204,
        Access_Control_Allow_Origin="*",
        Access_Control_Allow_Credentials=None,
        Access_Control_Allow_Methods="POST, HEAD, PATCH, DELETE, OPTIONS",
    )


def test_the_other_addresses_let_nobody_in(
    ask: Ask, settings: Settings, alice_client: Client
) -> None:
    let_in(settings, APP)
    answer = alice_client.get("/api/v1/uploads", headers={"Origin": APP})
    assert cors_headers(answer) == {}
