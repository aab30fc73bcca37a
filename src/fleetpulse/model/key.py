"""A key as it is stored: everything but its secret."""

from typing import NamedTuple

import msgspec

from fleetpulse.model.access import Principal, Role, Scope


class KeyRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A key. `digest` is the SHA-256 of its text.

    Attributes:
        device: the number of the device whose key it is; None for keys of all other roles.
        created_by, revoked_by: the name of who did it, see `Principal.name`.
        expires_at_ns: from then on it is refused; None: never.
        revoked_at_ns: since then it is refused, for good; None: it was not revoked.
    """

    number: int
    role: Role
    digest: bytes
    scope: Scope = ()
    device: int | None = None
    description: str = ""
    created_at_ns: int = 0
    created_by: str = ""
    expires_at_ns: int | None = None
    revoked_at_ns: int | None = None
    revoked_by: str = ""

    @property
    def principal(self) -> Principal | None:
        """The holder of a key that is no device's; None for the key of a device."""
        if self.device is not None:
            return None
        about = f" ({self.description})" if self.description else ""
        return Principal(
            kind="key", name=f"key {self.number}{about}", role=self.role, scope=self.scope, key=self.number
        )


class DeviceKeys(NamedTuple):
    """Keys of devices that are not revoked, as columns: what the gate needs of them, for a quick start."""

    numbers: list[int]
    digests: list[bytes]
    devices: list[int]
    expires_at_ns: list[int | None]
