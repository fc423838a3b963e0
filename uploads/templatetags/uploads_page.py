"""What templates of the pages need and no view should have to hand them."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def csrf_cookie_name() -> str:
    """Where scripts find the CSRF token of this moment; signing in again changes it."""
    return settings.CSRF_COOKIE_NAME
