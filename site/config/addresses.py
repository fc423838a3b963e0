"""Which address a request comes from, through proxies that the operator has named."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: The least that a provider gives a customer: who changes addresses within it is still the same.
IPV6_PREFIX = 64


def networks(given: list[str]) -> list[Network]:
    """Of addresses and networks as texts. Raises ImproperlyConfigured."""
    try:
        return [ip_network(text) for text in given]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"HOLDFAST_PROXIES: {error}; expected addresses or networks of your proxies, such as "
            "127.0.0.1,10.0.0.0/8."
        ) from error


def client_address(request: HttpRequest) -> str | None:
    """The client's IPv4 address, or the first of the /64 that its IPv6 address is in.

    None where the server knows none, as on a socket of the file system. Only a proxy of
    `settings.PROXIES` is believed who spoke to it: `X-Forwarded-For` is read from its end, where
    the nearest proxy writes, as far as ours have written.
    """
    client = _parsed(request.META.get("REMOTE_ADDR", ""))
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        named = _parsed(hop)
        if client is None or named is None or not _is_ours(client):
            break
        client = named
    return str(_shared(client)) if client else None


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address


def _is_ours(address: Address) -> bool:
    return any(address in proxy for proxy in settings.PROXIES)


def _shared(address: Address) -> Address:
    if address.version == 4:
        return address
    return ip_network((int(address), IPV6_PREFIX), strict=False).network_address
