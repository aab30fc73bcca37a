"""The nouns of the audit log: who did what, and who was refused."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

AuditKind = Literal["act", "refusal"]
"""act: an administrative act; refusal: requests that were refused because of who asked."""
NS_HIGHEST = 2**63 - 1
"""The latest time that the log can name."""
CHANGES_LISTED = 20
"""Changes of one act that its entry tells in full; it also counts the others."""
Fields = Mapping[str, Any]


class AuditFacts(NamedTuple):
    """What an entry says, without its place in the log.

    Attributes:
        who: for people to read, as `Principal.name`; empty where nobody knows, as for most refusals.
        action: the operation, such as `changeDevice`; for refusals the reason, such as `wrong_key`.
        subject: what it was about, such as `device press-07`; for refusals the operation, and the key that was shown.
        before, after: what changed, as JSON; empty where nothing is known of it.
        times: how many changes, or refused requests, the entry stands for.
    """

    kind: AuditKind
    who: str
    role: str
    action: str
    subject: str
    before: str
    after: str
    address: str
    request_id: str
    times: int


class AuditEntry(NamedTuple):
    """An entry as it stands in the log. `hash` covers it and the hash of the entry before it."""

    number: int
    at_ns: int
    facts: AuditFacts
    hash: bytes


class ChainState(NamedTuple):
    """Where the chain begins and ends: the last entry that retention removed, and the newest one; 0: none."""

    anchor_number: int
    anchor_hash: bytes
    last_number: int
    last_hash: bytes


class AuditFilter(NamedTuple):
    """Which entries; empty values mean any. Times are half-open, in nanoseconds since 1970."""

    start_ns: int = 0
    end_ns: int = NS_HIGHEST
    kind: str = ""
    who: str = ""
    action: str = ""
    subject: str = ""
    address: str = ""
    request_id: str = ""
