"""The audit log: who did what, and who was refused."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fleetpulse.api.file_answer import FileAnswer
from fleetpulse.api.parameters import (
    LIMIT_DEFAULT,
    LIMIT_HIGHEST,
    TIME_SCHEMA,
    query_parameter,
    read_count,
    read_moment,
)
from fleetpulse.api.routes import Media, route
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.model.audit import NS_HIGHEST, AuditFilter
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.query.audit_answers import CSV_HEADER, csv_lines, describe_entry, ndjson_lines
from fleetpulse.query.audit_answers import AuditLog as Page

_EXAMPLE = '{"number":17,"at":"2026-11-24T08:30:00Z","kind":"act","who":"alice","action":"pause", "…": "…"}\n'
_KINDS = ("act", "refusal")
_FORMATS = {"ndjson": "application/x-ndjson", "csv": "text/csv"}


def read_audit_filter(
    *,
    since: Annotated[str | None, query_parameter("entries at this time or later", **TIME_SCHEMA)] = None,
    until: Annotated[str | None, query_parameter("entries before this time", **TIME_SCHEMA)] = None,
    kind: Annotated[str, query_parameter("of entries; both where it is not given", enum=list(_KINDS))] = "",
    who: Annotated[str, query_parameter("exactly as entries name who acted", examples=["alice"])] = "",
    action: Annotated[str, query_parameter("an operation, or a reason of refusals", examples=["changeDevice"])] = "",
    subject: Annotated[str, query_parameter("what it was about", examples=["device press-07"])] = "",
    address: Annotated[str, query_parameter("of the client", examples=["192.0.2.7"])] = "",
    request_id: Annotated[str, query_parameter("X-Request-Id of an answer", examples=["5f0c9ad1b2e34f60"])] = "",
) -> AuditFilter:
    """Which entries. Raises: Malformed; OutOfRange."""
    if kind not in ("", *_KINDS):
        raise OutOfRange(f"`kind` must be one of {', '.join(_KINDS)}", reason="kind")
    start_ns, end_ns = read_moment("since", since), read_moment("until", until)
    return AuditFilter(
        start_ns=_clamped(start_ns, otherwise=0),
        end_ns=_clamped(end_ns, otherwise=NS_HIGHEST),
        kind=kind,
        who=who,
        action=action,
        subject=subject,
        address=address,
        request_id=request_id,
    )


def _clamped(at_ns: int | None, *, otherwise: int) -> int:
    return otherwise if at_ns is None else max(0, min(at_ns, NS_HIGHEST))


@route(
    "GET /api/v1/audit",
    group="service",
    operation="getAuditLog",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(422,),
    readers={"chosen": read_audit_filter},
)
async def get_audit(
    *,
    audit_log: AuditLog,
    chosen: AuditFilter,
    limit: Annotated[
        str, query_parameter("how many entries at most", minimum=1, maximum=LIMIT_HIGHEST, default=LIMIT_DEFAULT)
    ] = str(LIMIT_DEFAULT),
    cursor: Annotated[str | None, query_parameter("`next_cursor` of the page before", min_length=1)] = None,
) -> Page:
    """Show the audit log, the newest entries first."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise Malformed("`cursor` is not the `next_cursor` of a page")
    before = None if cursor is None else int(cursor)
    entries, first, following = await audit_log.page(chosen, before=before, limit=read_count(limit, LIMIT_HIGHEST))
    return Page(
        entries=[describe_entry(entry) for entry in entries],
        first_number=first,
        next_cursor=None if following is None else str(following),
    )


@route(
    "GET /api/v1/audit/export",
    group="service",
    operation="exportAuditLog",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(422,),
    media=(
        Media("application/x-ndjson", "a JSON object a line, as in the list", example=_EXAMPLE),
        Media("text/csv", "UTF-8, one line an entry", example=CSV_HEADER),
    ),
    readers={"chosen": read_audit_filter},
)
async def export_audit(
    *,
    audit_log: AuditLog,
    chosen: AuditFilter,
    file_format: Annotated[str, query_parameter("of the file", name="format", enum=list(_FORMATS))] = "ndjson",
) -> FileAnswer:
    """Export the audit log, the oldest entries first, to keep a copy elsewhere."""
    if file_format not in _FORMATS:
        raise OutOfRange(f"`format` must be one of {', '.join(_FORMATS)}", reason="format")
    return FileAnswer(
        _pieces(audit_log, chosen, file_format),
        media_type=_FORMATS[file_format],
        headers={"content-disposition": f'attachment; filename="audit.{file_format}"'},
    )


async def _pieces(audit_log: AuditLog, chosen: AuditFilter, file_format: str) -> AsyncGenerator[bytes]:
    if file_format == "csv":
        yield CSV_HEADER.encode()
    async for entries in audit_log.export(chosen):
        yield csv_lines(entries) if file_format == "csv" else ndjson_lines(entries)
