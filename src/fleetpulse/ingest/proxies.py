"""Proxies that are trusted: whose word about the client of a connection or of a request counts.

    client ──> proxy ──> proxy ──> this server
      A          B         C         X-Forwarded-For: F, A, B     F is what A itself claims

The header is read from its end. Each proxy adds the address of whoever asked it, so the first address from the end that
is not a trusted proxy is the client's; whatever stands before it, the client may have made up. Of a peer that is no
trusted proxy nothing is believed.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from fleetpulse.errors import SettingsError

HOPS_MAX = 16
"""Trusted proxies that a request may pass; of one that claims more, the last of these is taken for the client."""
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Client(NamedTuple):
    """Who sent a request, as trusted proxies tell."""

    address: str
    is_https: bool
    """Whether the client spoke HTTPS to the proxy."""


class TrustedProxies:
    """The proxies whose word counts, and the header by which they give it."""

    def __init__(self, networks: str = "", *, header: str = "x-forwarded-for") -> None:
        """`networks`: addresses and networks, such as `10.0.0.0/8, ::1`. `header`: x-forwarded-for, or forwarded.

        Raises: SettingsError: `networks` is something else.
        """
        self._networks: list[_Network] = []
        self._header = header.encode()
        for text in filter(None, (one.strip() for one in networks.split(","))):
            try:
                self._networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                raise SettingsError(
                    f"trusted_proxies: `{text[:60]}` is neither an IP address nor a network such as 10.0.0.0/8: {error}"
                ) from error

    def trusts(self, address: str) -> bool:
        """Whether an address, as text, is that of a trusted proxy."""
        if not self._networks:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)

    def client_of(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> Client:
        """The client of a request that the trusted proxy at `peer` has passed on. Names are in lower case."""
        chain: list[str] = []
        protocol = ""
        for name, value in headers:
            if name == self._header:
                text = value.decode("latin-1")
                chain += text.split(",")
                if name == b"forwarded":
                    protocol = _parameter(text.rpartition(",")[2], "proto") or protocol
            elif name == b"x-forwarded-proto" and self._header != b"forwarded":
                protocol = value.decode("latin-1").rpartition(",")[2].strip()
        address = peer
        for hop in reversed(chain[-HOPS_MAX:]):
            text = _parameter(hop, "for") if self._header == b"forwarded" else hop
            before = plain_address(text)
            if not before:
                break  # `unknown`, a name that was made up, or nothing at all
            address = before
            if not self.trusts(address):
                break
        return Client(address, protocol.lower() == "https")


NO_PROXIES = TrustedProxies()


def plain_address(text: str) -> str:
    """An IP address without port, brackets, quotes and zone, an IPv4 one that is written as IPv6 as IPv4; else ""."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


def _parameter(element: str, name: str) -> str:
    """The value of a parameter of an element of `Forwarded`, such as `for` of `for=192.0.2.7;proto=https`."""
    for pair in element.split(";"):
        key, _, value = pair.strip().partition("=")
        if key.lower() == name:
            return value.strip().strip('"')
    return ""
