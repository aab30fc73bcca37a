"""Who asks, and what they may do: the nouns of access."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["device", "ingest", "read", "operate", "admin", "scrape", "enrol"]
"""What a key is for.

    device     reports as its own device, and reads that device's settings
    ingest     reports as any device of its scope: a gateway
    read       asks questions about the devices of its scope
    operate    as read; declares, pauses and relabels devices of its scope, and plans maintenance
    admin      everything within its scope; without one also keys, people and the service itself
    scrape     reads /metrics, and nothing else
    enrol      lets new devices enrol, and nothing else
"""
Permission = Literal["open", "report", "settings", "read", "operate", "admin", "scrape", "enrol", "known"]
"""What a route needs.

    open       nothing: it is answered without a key
    report     to send what devices send
    known      any role
    settings   to read what is declared of one device, which the device itself may
    the rest   the role of that name, or one that includes it
"""
ScopeRule = Literal["device", "labels", "none", "whole"]
"""What a route does with the scope of a key.

    device     the path names a device, which must be in the scope; else 404
    labels     the answer, or the change, is about the devices of the scope only
    none       nothing about devices is in it
    whole      it concerns all devices, so a key with a scope is refused (403)
"""
LimitRule = Literal["none", "device", "bulk", "key", "login", "enrol"]
"""To which rate limits a request is charged, see `access/rate_limits.py`.

    none       to none: whoever watches over the service must always be answered
    device     to the device in the path, and to the key, unless that is the device's own
    bulk       to the key, or to the device whose key it is, and so are the lines of the body, when they are counted
    key        to the key or the person; without one to the address
    login      as `key`, and to limits of logging in
    enrol      as `key`, and to the limit of enrolments a day
"""


class Access(NamedTuple):
    """Who may use a route, on which devices, and how often."""

    permission: Permission
    scope: ScopeRule
    limit: LimitRule


Scope = tuple[tuple[str, str], ...]
"""Labels (name, value) which a device must have, all of them; empty: every device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, once it is known.

    Attributes:
        kind: by what it is known: `open` where nobody needs a key.
        name: for people to read, such as `key 17 (gateway hall 2)` or `alice`; never a secret.
        device: the number of the device that it is, for the role `device`.
        device_id: the id of that device.
        key: the number of the key, where it is known by one.
        subject: by what an issuer knows it, whatever its name is: the issuer and `sub`; else empty.
    """

    kind: Literal["open", "key", "person", "issuer", "certificate"]
    name: str
    role: Role
    scope: Scope = ()
    device: int | None = None
    device_id: str = ""
    key: int | None = None
    subject: str = ""


class Attempt(NamedTuple):
    """A request that was refused, as far as it is known.

    Attributes:
        key: the key that was shown, which may be wrong.
        address: that of the client.
        principal: who it is, where that is known.
        operation: what was to be done, by the name of the route.
    """

    key: bytes = b""
    address: str = ""
    principal: Principal | None = None
    operation: str = ""
    request_id: str = ""


EVERYBODY = Principal(kind="open", name="everybody", role="admin")
"""Who asks where nobody needs a key."""
