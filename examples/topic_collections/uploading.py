"""The addresses to which the edit page sends its file: the chunked-upload protocol, bound to the
scope of one user and one collection's form. The id of the upload alone then travels with the form.
"""

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from uploads.engine.admitting import Admission
from uploads.errors import NotFound
from uploads.protocols.chunked_upload import bound

from . import conf
from .forms import admission_for
from .models import TopicCollection


def admit(request: HttpRequest, user: AbstractBaseUser, pk: int) -> Admission:
    """Raises NotFound for a collection that is not the user's, as for one that is not there."""
    collection = TopicCollection.objects.curated_by(user).filter(pk=pk).first()
    if collection is None:
        raise NotFound("You have no topic collection of this number.")
    return admission_for(collection, user)


upload, complete = bound(admit, lifetime=conf.lifetime())
