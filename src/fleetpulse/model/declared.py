"""Which declarations are in effect: a count of their changes, so that two answers can be compared."""

from typing import NamedTuple


class DeclaredVersion(NamedTuple):
    """`version` grows with every change of a device, pause or maintenance window; it never goes back.

    `changed_at_ns`: when the last of these changes was made; 0: before changes were counted.
    """

    version: int
    changed_at_ns: int


NOTHING_CHANGED = DeclaredVersion(0, 0)
