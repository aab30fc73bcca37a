"""The shape of answers about the audit log."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from fleetpulse.model.audit import AuditEntry as StoredEntry
from fleetpulse.model.audit import AuditKind
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, Time

_FIELDS = Meta(
    description="by field; of several things, by thing; null: there was none, or it is not known",
    examples=[{"labels": {"site": "paris"}}],
)


class AuditEntry(Struct, kw_only=True):
    """One entry of the audit log: an administrative act, or requests that were refused because of who asked."""

    number: Annotated[Count, Meta(description="entries are numbered without gaps")]
    at: Time
    kind: Annotated[AuditKind, Meta(examples=["act"])]
    who: Annotated[str, Meta(description="empty: nobody knows", examples=["key 3 (operations)"])]
    role: Annotated[str, Meta(examples=["operate"])]
    action: Annotated[
        str, Meta(description="the operation, as in /openapi.json; or why it was refused", examples=["changeDevice"])
    ]
    subject: Annotated[str, Meta(examples=["device press-07"])]
    before: Annotated[dict[str, Any] | None, _FIELDS]
    after: Annotated[dict[str, Any] | None, _FIELDS]
    address: Annotated[str, Meta(description="of the client", examples=["192.0.2.7"])]
    request_id: Annotated[str, Meta(description="X-Request-Id of the answer", examples=["5f0c9ad1b2e34f60"])]
    count: Annotated[Count, Meta(description="how many changes, or refused requests, the entry stands for")]
    hash: Annotated[
        str,
        Meta(
            description="SHA-256 over this entry and the hash of the one before, in hexadecimal",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]


class AuditLog(Struct, kw_only=True):
    """A page of the audit log, the newest entries first."""

    entries: list[AuditEntry]
    first_number: Annotated[Count, Meta(description="of the oldest entry that retention has not removed")]
    next_cursor: Annotated[
        str | None, Meta(description="`cursor` of the next page; null: there is none", examples=["17"])
    ]


def describe_entry(entry: StoredEntry) -> AuditEntry:
    """An entry for people and programs."""
    facts = entry.facts
    return AuditEntry(
        number=entry.number,
        at=format_rfc3339(entry.at_ns),
        kind=facts.kind,
        who=facts.who,
        role=facts.role,
        action=facts.action,
        subject=facts.subject,
        before=_fields(facts.before),
        after=_fields(facts.after),
        address=facts.address,
        request_id=facts.request_id,
        count=facts.times,
        hash=entry.hash.hex(),
    )


def _fields(text: str) -> dict[str, Any] | None:
    return dict(msgspec.json.decode(text)) if text else None


CSV_HEADER = ",".join(AuditEntry.__struct_fields__) + "\r\n"


def ndjson_lines(entries: Iterable[StoredEntry]) -> bytes:
    """Entries as JSON, a line each."""
    return b"".join(msgspec.json.encode(describe_entry(entry)) + b"\n" for entry in entries)


def csv_lines(entries: Iterable[StoredEntry]) -> bytes:
    """Entries as lines of CSV; fields that begin as a formula would get a ' before it, so that no program runs them."""
    text = io.StringIO()
    writer = csv.writer(text)
    for entry in entries:
        facts = entry.facts._asdict()
        values = [entry.number, format_rfc3339(entry.at_ns), *facts.values(), entry.hash.hex()]
        writer.writerow([_plain(value) for value in values])
    return text.getvalue().encode()


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
