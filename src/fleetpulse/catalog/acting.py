"""Who is acting, so that whatever the catalog changes on their behalf has its entry in the audit log.

The edge says who acts (`acting`, `set_act`) and the catalog's thread works in the same context. A transaction that
changes anything then ends with an entry, so no act can be without one, whoever wrote the code of the change. Code that
changes rows says what changed with `audit_change`; without it, the entry says who did what, but not what was before.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from fleetpulse.model.audit import CHANGES_LISTED, AuditFacts, AuditKind, Fields

Change = tuple[str, Fields | None, Fields | None]
"""(subject, before, after); before is None where it was made, after where it was deleted."""


@dataclass(slots=True, kw_only=True)
class Act:
    """What somebody is doing.

    Attributes:
        subject: what it is about, where the changes themselves do not say so.
        needs_changes: it is an act only if something is noted as changed: files that are read again.
        changes: those of the transaction under way, at most CHANGES_LISTED of them.
    """

    who: str
    role: str
    action: str
    subject: str = ""
    address: str = ""
    request_id: str = ""
    needs_changes: bool = False
    changes: list[Change] = field(default_factory=list)
    count: int = 0

    def begin(self) -> None:
        """Forget the changes of a transaction that ended, or failed."""
        self.changes, self.count = [], 0

    def facts(self) -> AuditFacts | None:
        """What the entry says; None: there is nothing to say."""
        if self.needs_changes and not self.count:
            return None
        subject = self.subject
        before: Fields | None = None
        after: Fields | None = None
        if len(self.changes) == 1:
            subject, before, after = self.changes[0]
        elif self.changes:
            subject = subject or f"{self.count} changes"
            before = {about: was for about, was, _ in self.changes if was is not None}
            after = {about: now for about, _, now in self.changes if now is not None}
        return self.entry("act", subject, before, after)

    def entry(
        self, kind: AuditKind, subject: str, before: Fields | None = None, after: Fields | None = None
    ) -> AuditFacts:
        """What an entry about this act says."""
        about = (self.who, self.role, self.action, subject, json_of(before), json_of(after))
        return AuditFacts(kind, *about, self.address, self.request_id, max(1, self.count))


def json_of(fields: Fields | None) -> str:
    """Fields as the audit log has them; empty for none."""
    return "" if not fields else json.dumps(fields, sort_keys=True, default=str)


_ACT: ContextVar[Act | None] = ContextVar("act", default=None)


def current_act() -> Act | None:
    """Who acts; None: nobody does but the service itself."""
    return _ACT.get()


def set_act(act: Act | None) -> None:
    """Say who acts in the rest of this task."""
    _ACT.set(act)


@contextmanager
def acting(act: Act | None) -> Generator[None, None, None]:
    """Say who acts within it."""
    token = _ACT.set(act)
    try:
        yield
    finally:
        _ACT.reset(token)


def audit_change(subject: str, before: Fields | None, after: Fields | None) -> None:
    """Note what a transaction changes, in the transaction: only fields that differ are kept.

    Args: before, after: never with a secret, nor with its hash; None: there was, or is, no such thing.
    """
    act = _ACT.get()
    if act is None:
        return
    if before is not None and after is not None:
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if not names:
            return
        before = {name: before.get(name) for name in names}
        after = {name: after.get(name) for name in names}
    act.count += 1
    if len(act.changes) < CHANGES_LISTED:
        act.changes.append((subject, before, after))
