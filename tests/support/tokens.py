"""Whose a token is, as a request would find out, but without using it."""

from django.contrib.auth.models import AbstractBaseUser

from uploads.engine.tokens import find_token


def find_owner(token: str) -> AbstractBaseUser | None:
    found = find_token(token)
    return found.owner if found else None
