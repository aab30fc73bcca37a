"""Keys that were just made, with their texts, which are stored nowhere."""

from collections.abc import Sequence
from typing import NamedTuple

from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.catalog.catalog import Registered
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.device import Device
from fleetpulse.model.key import KeyRecord

Made = tuple[KeyRecord, str]
"""A key, and its text."""
BY_FAILURE = "the service, since not all keys of the request could be made"
"""Who revoked keys that were made for nobody."""


class Issued(NamedTuple):
    """A key that a device was given when it enrolled, with its text.

    Attributes:
        revoked: the numbers of keys that are revoked for it.
        registered: what the catalog did to register the device; None: it was registered.
        is_repeated: the device was given a key before, which it never used.
    """

    key: KeyRecord
    text: str
    revoked: Sequence[int]
    registered: Registered | None
    device: Device
    is_repeated: bool


def made_key(wish: KeyWish, *, number: int, device: int | None, at_ns: int, by: str) -> Made:
    """A key as it was wished for, with a new secret."""
    text = make_key(wish.role, number)
    key = KeyRecord(
        number=number,
        role=wish.role,
        digest=hash_key(text.encode()),
        scope=wish.scope,
        device=device,
        description=wish.description,
        created_at_ns=at_ns,
        created_by=by,
        expires_at_ns=wish.expires_at_ns,
    )
    return key, text
