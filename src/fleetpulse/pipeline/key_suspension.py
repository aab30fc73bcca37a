"""A key that is being revoked is refused in memory before the catalog has its turn, which may be a while."""

from fleetpulse.access.key_table import KeyTable
from fleetpulse.errors import Conflict


def suspend(keys: KeyTable, number: int) -> None:
    """Refuse a key that the catalog is to revoke. Raises: Conflict: nobody could administer then, for good."""
    holder = keys.principals.get(keys.row(number))
    is_admin = holder is not None and holder.role == "admin" and not holder.scope
    if is_admin and not keys.has_lasting_admin(besides=number):
        raise Conflict(
            f"key {number} is the only one that may do everything and does not expire: make another such key first "
            "(`fleetpulse keys add --role admin`), then revoke this one with it",
            reason="last_admin",
        )
    keys.suspend(number)
