"""Every address of the app. Requests from htmx to a handshake get HTML, others JSON."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import path, re_path
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django_htmx.middleware import HtmxDetails

from uploads.protocols import chunked_upload, form, json_api, native, parts
from uploads.protocols.tus import views as tus
from uploads.web import actions, api_page, tokens, views

app_name = "uploads"

View = Callable[..., HttpResponseBase]


def htmx_or(html: View, json: View) -> View:
    """One address, two forms of the same answer, told apart by the HX-Request header."""

    @csrf_exempt  # `native` checks the token itself, before any body is read; `html` only reads.
    def view(request: HttpRequest, **kwargs: object) -> HttpResponseBase:
        wants_html = HtmxDetails(request) and request.method == "GET"
        response = (html if wants_html else json)(request, **kwargs)
        patch_vary_headers(response, ["HX-Request"])
        return response

    return view


urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("uploads/<uuid:session_id>/", views.details, name="details"),
    path("uploads/<uuid:session_id>/rename", actions.rename, name="rename"),
    path("uploads/<uuid:session_id>/remove", actions.remove_one, name="remove"),
    path("uploads/remove", actions.remove_chosen, name="remove-chosen"),
    path("uploads/restore", actions.restore, name="restore"),
    path("uploads/send", form.send, name="send"),
    path("uploads/sessions", parts.sessions, name="part-sessions"),
    path("uploads/sessions/<uuid:session_id>", parts.session, name="part-session"),
    path("uploads/sessions/<uuid:session_id>/parts/<int:number>", parts.part, name="part"),
    path("upload/<uuid:session_id>", parts.upload, name="upload-stream"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke", tokens.revoke, name="revoke-token"),
    path("texts.js", views.texts, name="texts"),
    path("api/", api_page.page, name="api"),
    path("api/v1/openapi.yaml", api_page.openapi, name="openapi"),
    path("api/v1/uploads", native.session_list, name="sessions"),
    path(
        "api/v1/uploads/handshake",
        htmx_or(views.session_rows, native.handshake),
        name="handshake",
    ),
    path("api/v1/uploads/<uuid:session_id>", native.session, name="session"),
    path(
        "api/v1/uploads/<uuid:session_id>/handshake",
        htmx_or(views.session_row, native.session_handshake),
        name="session-handshake",
    ),
    path("api/v1/uploads/<uuid:session_id>/check", native.check, name="check"),
    path("api/v1/uploads/<uuid:session_id>/chunks/<int:index>", native.chunk, name="chunk"),
    path("api/v1/uploads/<uuid:session_id>/complete", native.complete, name="complete"),
    path("api/v1/uploads/<uuid:session_id>/content", native.content, name="content"),
    path("api/v1/upload/init", json_api.init, name="json-init"),
    path("api/v1/upload/chunk", json_api.chunk, name="json-chunk"),
    path("api/v1/upload/complete", json_api.complete, name="json-complete"),
    path("api/v1/upload/cancel", json_api.cancel, name="json-cancel"),
    path("api/v1/upload/status/<str:upload_id>", json_api.status, name="json-status"),
    path("api/chunked-upload/", chunked_upload.upload, name="chunked-upload"),
    path(
        "api/chunked-upload/complete/",
        chunked_upload.upload_complete,
        name="chunked-upload-complete",
    ),
    # Without the slash too: a redirect would make a GET of a POST.
    re_path("^api/chunked-upload$", chunked_upload.upload, name="chunked-upload"),
    re_path(
        "^api/chunked-upload/complete$",
        chunked_upload.upload_complete,
        name="chunked-upload-complete",
    ),
    path("files/", tus.uploads, name="tus-uploads"),
    re_path("^files$", tus.uploads, name="tus-uploads"),
    path("files/<uuid:session_id>", tus.upload, name="tus-upload"),
    # Malformed ids and indices too are refused in the one shape of all refusals (P10).
    re_path(r"^(?:uploads/sessions|upload)(/|$)", parts.unknown),
    re_path(r"^files/", tus.unknown),
    re_path(r"^api/(?:v1|chunked-upload)(/|$)", native.unknown),
]
