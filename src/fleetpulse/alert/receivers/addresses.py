"""Which addresses a sender may connect to.

An address is looked at when it is connected to, not when a name is declared: the name may stand for another one by
then. Whatever is allowed, addresses where clouds tell machines their own credentials are not, and neither is what is no
host at all, such as multicast.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/3", "100.100.100.200/32", "168.63.129.16/32",
        "::/128", "fe80::/10", "ff00::/8", "fec0::/10", "fd00:ec2::/32", "fd20:ce::/32",
    )
)  # fmt: skip
"""No host, or one that answers each machine of a cloud with its own credentials: of AWS, Google, Azure, Oracle, Alibaba
and others most are link-local; the rest is named here one by one."""
_TRANSLATED = ip_network("64:ff9b::/96")
_HOW = "allow it with `private = true` of the receiver, or for all with --receivers-private"


class AddressRefused(OSError):
    """Every address that a name has is one that must not be connected to; the text says which and why."""


def refusal_of(address: str, *, allows_private: bool) -> str:
    """Why `address`, an IP address as text, may not be connected to; empty where it may."""
    try:
        found = _embedded(ip_address(address.partition("%")[0]))
    except ValueError:
        return "it is no IP address"
    if any(found.version == network.version and found in network for network in _NEVER):
        return f"{found} is an address that no receiver may have (link-local, metadata of a cloud, or no host)"
    if not found.is_global and not allows_private:
        return f"{found} is an address of a private network or of this machine: {_HOW}"
    return ""


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        # A network's translator to IPv4, and the old form ::192.0.2.1.
        if inner is None and (address in _TRANSLATED or 1 < int(address) < 2**32):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return inner
    return address


def resolve(host: str, port: int, *, allows_private: bool) -> list[tuple[int, tuple[str, int]]]:
    """The addresses of a host that may be connected to, as (family, (address, port)), in the order to try them.

    Raises: OSError: the name has no address. AddressRefused: it has, but none that may be connected to.
    """
    found, refusals = [], []
    for family, _, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = str(where[0])
        refusal = refusal_of(address, allows_private=allows_private)
        if refusal:
            refusals.append(refusal)
        elif (family, (address, port)) not in found:
            found.append((int(family), (address, port)))
    if not found:
        raise AddressRefused("; ".join(dict.fromkeys(refusals)) or "the name has no address")
    return found
