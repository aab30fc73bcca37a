"""`fleetpulse audit`: who did what, and who was refused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from fleetpulse.cli.client import Query
from fleetpulse.cli.export import progress
from fleetpulse.cli.flags import Address, Name, Service, Time, Whole, action
from fleetpulse.cli.output_file import Output
from fleetpulse.cli.tables import Cell, Part, left, prose, right, table_of, time_cell
from fleetpulse.query.audit_answers import AuditEntry, AuditLog

AUDIT = "/api/v1/audit"
app = App(name="audit")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which entries.

    Attributes:
        kind: Only entries of this kind.
        since: Only entries at this time or later, RFC 3339.
        until: Only entries before this time.
        who: Only of whom the log names exactly so.
        action: Only this operation, or reason of a refusal.
        subject: Only about this, such as 'device press-07'.
        address: Only from this address.
        request_id: Only of the request with this X-Request-Id.
    """

    kind: Literal["act", "refusal"] | None = None
    since: Time = None
    until: Time = None
    who: Name = None
    action: Name = None
    subject: Annotated[str | None, Parameter(metavar="TEXT")] = None
    address: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    request_id: Annotated[str | None, Parameter(metavar="ID")] = None

    def query(self) -> Query:
        """As parameters."""
        return [(one.name, getattr(self, one.name)) for one in fields(self)]


@action(app, "fleetpulse audit list --who alice", "fleetpulse audit list --kind refusal --since 2026-11-24T00:00:00Z")
def list_(*, choice: Choice = Choice(), limit: Whole = 100, service: Service = Service()) -> None:
    """Show the audit log, the newest entries first.

    Args:
        limit: Show at most this many entries.
    """
    service.ask(AUDIT, [*choice.query(), ("limit", limit)], shape=AuditLog, parts=_parts)


def _parts(answer: AuditLog) -> list[Part]:
    columns = [right("number"), left("at"), left("who"), left("action"), left("subject")]
    columns += [right("count"), left("address"), prose("what changed")]
    older = "; --until TIME and --limit N show older ones" if answer.next_cursor else ""
    return [table_of(columns, [_row(entry) for entry in answer.entries]), f"{len(answer.entries)} shown{older}."]


def _row(entry: AuditEntry) -> Sequence[Cell]:
    about = [str(entry.number), time_cell(entry.at), entry.who or "?", entry.action, entry.subject]
    return [*about, str(entry.count), entry.address, _change(entry)]


def _change(entry: AuditEntry) -> str:
    """What was before and what is now, in one line."""
    before, after = ("" if fields is None else _shown(fields) for fields in (entry.before, entry.after))
    return f"{before} → {after}" if before and after else (before and f"was {before}") or after


def _shown(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())


@action(app, "fleetpulse audit export -o audit.ndjson", "fleetpulse audit export --format csv -o audit.csv")
def export(
    *,
    choice: Choice = Choice(),
    format: Annotated[Literal["ndjson", "csv"], Parameter(name="--format")] = "ndjson",  # noqa: A002  # the flag's name
    output: Output = Output(),
    service: Address = Address(),
) -> None:
    """Write the audit log to a file, the oldest entries first, with the hash of each: to keep it elsewhere.

    Args:
        format: Form of the file: a JSON object a line, or CSV.
    """
    query = choice.query()
    with service.client() as client, progress() as advance, output.open() as file:
        for piece in client.stream(f"{AUDIT}/export", [*query, ("format", format)]):
            file.write(piece)
            advance(len(piece))
