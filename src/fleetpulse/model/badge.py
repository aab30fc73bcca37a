"""A badge that whoever knows its token may see: the health of one device, or of the devices with some labels."""

from typing import NamedTuple

from fleetpulse.model.access import Scope


class BadgeRecord(NamedTuple):
    """One badge, by its number, which is never given to another one.

    Attributes:
        digest: the SHA-256 of its token.
        device: the number of the device that it is about; None: it is about the devices with all of `labels`.
        labels: empty: about all devices.
    """

    number: int
    digest: bytes
    device: int | None
    labels: Scope
    description: str
    created_at_ns: int
    created_by: str
