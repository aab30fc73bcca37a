"""Whether a request comes from a program or a person at this machine, as far as its header tells."""

import ipaddress
from collections.abc import Iterable

from fleetpulse.access_errors import Forbidden

FORWARDED = (b"forwarded", b"x-forwarded-", b"x-real-ip", b"via")
"""How the names of headers begin that a proxy adds."""


def check_local(headers: Iterable[tuple[bytes, bytes]], *, is_old: bool = False) -> None:
    """Raises: Forbidden: a proxy passed the request on, or it was sent to another name than those of this machine.

    Args: is_old: the request is of HTTP/1.0. As it comes, nginx passes requests on by HTTP/1.0 with `Connection:
    close`, which no client of that version needs to say, and names us as the host.

    Nobody needs a key on loopback until the first one is made. A proxy on this machine would let the network in, and so
    would a web page whose name was made to mean 127.0.0.1.
    """
    for name, value in headers:
        if name.startswith(FORWARDED):
            raise Forbidden(
                f"the header {name.decode('latin-1')} says that a proxy passed this on, and without keys only people "
                "at this machine are let in: make a key (`fleetpulse keys add --role admin --yes`), and list the "
                "proxy in trusted_proxies",
                reason="not_local",
            )
        if name == b"connection" and is_old and value.strip().lower() == b"close":
            raise Forbidden(
                "the request looks like one that nginx passed on, and without keys only people at this machine are let "
                "in: make a key (`fleetpulse keys add --role admin --yes`), and list the proxy in trusted_proxies; or "
                "ask by HTTP/1.1",
                reason="not_local",
            )
        if name == b"host" and not is_loopback_host(value.decode("latin-1")):
            raise Forbidden(
                f"`{value.decode('latin-1')[:100]}` is no name of this machine alone, and without keys only people at "
                "it are let in: ask 127.0.0.1 or localhost, or make a key (`fleetpulse keys add --role admin --yes`)",
                reason="not_local",
            )


def is_local(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether `check_local` lets a request with these headers pass."""
    try:
        check_local(headers)
    except Forbidden:
        return False
    return True


def is_loopback_host(host: str) -> bool:
    """Whether the header Host names this machine, so that no other name was made to mean it."""
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0].removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
