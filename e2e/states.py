"""Accounts that have everything already, made in one go and signed in by cookie."""

import json
from dataclasses import dataclass

from playwright.sync_api import BrowserContext

from tests.support.server import Server

from .support import HOST, in_django

#: `ids` becomes `Furnished.ids`. What is dated ahead stays as it is for as long as a test takes.
_CODE = """
import json
from datetime import timedelta
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from tests.web.pages import STATES, completed, damaged, make_session, trashed
from uploads.engine.tokens import issue_token
from uploads.models import AccessToken, FileSession, SessionEvent
from uploads.storage import get_store
# Sessions without the folders of the store would look like a disk that is not mounted.
get_store().prepare()
owner = User.objects.create(username={name!r})
ahead = timezone.now() + timedelta(hours=1)
ids = {{}}
{code}
client = Client()
client.force_login(owner)
ids = {{name: str(value) for name, value in ids.items()}}
print(json.dumps([client.cookies["sessionid"].value, ids]))
"""

#: A row for each state; a deleted file that may still come back; tokens of every kind.
EVERY_STATE = """
for state, make in STATES.items():
    ids[state] = make(owner).pk
    FileSession.objects.filter(pk=ids[state]).update(filename=state + ".csv", folder={folder!r})
    SessionEvent.objects.create(session_id=ids[state], kind="opened")
    SessionEvent.objects.create(session_id=ids[state], kind="renamed", detail={folder!r})
moving = [ids["under way"], ids["verifying"], ids["being joined"]]
moving = FileSession.objects.filter(pk__in=moving)
moving.update(updated_at=ahead)
for number in range(3):
    completed(owner, f"{{number}}-" + {long_name!r}, folder={folder!r})
FileSession.objects.filter(pk=trashed(owner, {long_name!r}).pk).update(trashed_at=ahead)
for name in ("Nightly backup", "Expired", "Revoked", {long_name!r}[:90]):
    issue_token(owner, name)
issue_token(owner, "Only for sending", scopes=["upload"])
AccessToken.objects.filter(owner=owner, name="Nightly backup").update(last_used_at=timezone.now())
AccessToken.objects.filter(owner=owner, name="Expired").update(
    created_at=ahead - timedelta(days=2), expires_at=ahead - timedelta(days=1))
AccessToken.objects.filter(owner=owner, name="Revoked").update(revoked_at=timezone.now())
"""

LONG_NAME = "Meeresbodenvermessungsprotokoll" * 6 + ".tar.gz"
LONG_FOLDER = "/".join(["Nordseeküstenvermessung", "Rohdatensicherungskopien" * 4, "2026"])


@dataclass(frozen=True)
class Furnished:
    cookie: str
    #: Sessions, by what the code called them.
    ids: dict[str, str]

    def sign_in(self, context: BrowserContext) -> None:
        cookie = {"name": "sessionid", "value": self.cookie, "domain": HOST, "path": "/"}
        context.add_cookies([cookie])  # type: ignore[list-item]


def furnish(server: Server, name: str, code: str) -> Furnished:
    """A new account called `name`; `code` puts things into it for `owner`, and notes `ids`."""
    cookie, ids = json.loads(in_django(server, _CODE.format(name=name, code=code)))
    return Furnished(cookie, ids)


def furnish_every_state(server: Server, name: str) -> Furnished:
    return furnish(server, name, EVERY_STATE.format(folder=LONG_FOLDER, long_name=LONG_NAME))
