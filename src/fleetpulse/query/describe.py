"""What is declared, as answers give it: devices, metrics and maintenance windows."""

from collections.abc import Container, Sequence

from msgspec import UNSET

from fleetpulse.aggregate.recurrence import next_occurrence
from fleetpulse.aggregate.status import NEVER_NS
from fleetpulse.catalog.catalog import DeviceRecord, Pause
from fleetpulse.catalog.file_readings import FileKind
from fleetpulse.catalog.roster import Roster
from fleetpulse.ingest.bodies import RefusedLine
from fleetpulse.ingest.devices_import import DeviceImport
from fleetpulse.ingest.metric_declarations import declared_fields
from fleetpulse.ingest.window_declarations import WEEKDAYS, Weekly
from fleetpulse.model.declaration_merge import MergeReport, Value
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange
from fleetpulse.model.retention import ComingDeletion
from fleetpulse.model.status import Status
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.count import count_text
from fleetpulse.notation.duration import format_seconds
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query import answers, declaration_answers
from fleetpulse.query.notes import selection_notes

UNKNOWN_LISTED_MAX = 20


def describe_device(
    record: DeviceRecord,
    *,
    status: Status,
    since_ns: int,
    last_received_ns: int,
    policy: HeartbeatPolicy,
    pauses: Sequence[Pause],
    now_ns: int,
) -> declaration_answers.Device:
    """A device with its status, since when it holds, and when the device was last heard."""
    device = record.device
    until_ns = next((pause.end_ns for pause in pauses if pause.end_ns is not None and pause.end_ns > now_ns), None)
    return declaration_answers.Device(
        id=device.id,
        status=status,
        since=_time(since_ns),
        last_seen=_time(last_received_ns),
        labels=device.labels,
        interval=format_seconds(policy.interval_s),
        grace=format_seconds(policy.grace_s),
        has_own_interval=device.interval_s is not None,
        has_own_grace=device.grace_s is not None,
        note=device.note,
        created_at=_time(record.created_at_ns),
        paused_until=_time(until_ns) if status == "paused" else UNSET,
        deleted_at=format_rfc3339(record.deletions[-1][0]) if record.is_deleted and record.deletions else UNSET,
    )


def describe_policies(pieces: Sequence[PolicyChange]) -> list[declaration_answers.PolicyInForce]:
    """The heartbeat policies of a device that were in force, one after the other."""
    return [
        declaration_answers.PolicyInForce(
            start=None if piece.at_ns == SINCE_EVER_NS else format_rfc3339(piece.at_ns),
            end=None if end_ns is None else format_rfc3339(end_ns),
            interval=format_seconds(piece.policy.interval_s),
            grace=format_seconds(piece.policy.grace_s),
            gap_after_s=piece.policy.gap_after_ns / NS_PER_S,
            exact_from=UNSET if piece.exact_from_ns <= piece.at_ns else format_rfc3339(piece.exact_from_ns),
        )
        for piece, end_ns in zip(pieces, [*(piece.at_ns for piece in pieces[1:]), None], strict=True)
    ]


def describe_forgotten(forgotten: Sequence[Forgotten]) -> list[declaration_answers.ForgottenBefore]:
    """What the history of a device was made to forget, in order."""
    return [
        declaration_answers.ForgottenBefore(
            before=format_rfc3339(one.before_ns), at=format_rfc3339(one.at_ns), minutes=one.minutes, samples=one.samples
        )
        for one in forgotten
    ]


def describe_import(
    found: DeviceImport, report: MergeReport, *, listed_max: int, is_dry: bool
) -> declaration_answers.Imported:
    """What an import declares, and the lines that it refuses: those that are wrong, and those that fit no device."""
    refused = [RefusedLine(line.number, line.error) for line in found.refused[:listed_max]]
    refused += [RefusedLine(found.line_of[conflict.id], conflict.text) for conflict in report.conflicts]
    refused_total = len(found.refused) + report.in_conflict
    return declaration_answers.Imported(
        new=report.added,
        known=report.changed + report.unchanged - report.in_conflict,
        changed=report.changed,
        changes=_changes(report),
        changes_capped=report.added + report.changed > len(report.changes),
        refused=sorted(refused, key=lambda line: line.line)[:listed_max],
        refused_total=refused_total,
        capped=refused_total > listed_max,
        dry_run=is_dry,
    )


def describe_relabelled(report: MergeReport, *, matched: int, is_dry: bool) -> declaration_answers.Relabelled:
    """How many devices matched, and what changes of them."""
    return declaration_answers.Relabelled(
        matched=matched,
        changed=report.changed,
        dry_run=is_dry,
        changes=_changes(report),
        changes_capped=report.changed > len(report.changes),
    )


def describe_file(
    kind: FileKind, path: str, *, read_at_ns: int | None, outcome: MergeReport | str
) -> declaration_answers.DeclaredFile:
    """What reading a declared file would change; `outcome` is a text where it cannot be used."""
    error = outcome if isinstance(outcome, str) else None
    report = MergeReport(0) if isinstance(outcome, str) else outcome
    return declaration_answers.DeclaredFile(
        kind=kind,
        path=path,
        read_at=_time(read_at_ns),
        error=error,
        added=report.added,
        changed=report.changed,
        unchanged=report.unchanged,
        in_conflict=report.in_conflict,
        changes=_changes(report),
        conflicts=[declaration_answers.EntryConflict(conflict.id, conflict.text) for conflict in report.conflicts],
    )


def _changes(report: MergeReport) -> list[declaration_answers.Change]:
    return [
        declaration_answers.Change(
            id=change.id,
            new=change.is_new,
            fields=[
                declaration_answers.FieldChange(
                    field.name, _field_value(field.name, field.before), _field_value(field.name, field.after)
                )
                for field in change.fields
            ],
        )
        for change in report.changes
    ]


def _field_value(name: str, value: Value) -> Value:
    """A value as a request or a CSV has it: durations as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(map(str, value))
    return format_seconds(value) if name in {"interval", "grace"} and isinstance(value, int) else value


def describe_metric(
    metric: MetricDefinition, coming_deletions: Sequence[ComingDeletion] = ()
) -> declaration_answers.Metric:
    """A definition, and what will be deleted because its retention became shorter."""
    deletions = [
        declaration_answers.ComingDeletion(
            what=deletion.what,
            at=format_rfc3339(deletion.at_ns),
            before=format_rfc3339(deletion.before_ns),
            days_before=deletion.days_before,
            days_after=deletion.days_after,
            msg=deletion_text(metric.name, deletion),
        )
        for deletion in coming_deletions
    ]
    return declaration_answers.Metric(**declared_fields(metric), coming_deletions=deletions)


def deletion_text(name: str, deletion: ComingDeletion) -> str:
    """What will be deleted and when, and what to do to keep it."""
    days_after = count_text(deletion.days_after, "day")
    return (
        f"after {format_rfc3339(deletion.at_ns)}, {deletion.what} of {name} from before "
        f"{format_rfc3339(deletion.before_ns)} are deleted, since they are kept for {days_after} instead "
        f"of {deletion.days_before}; to keep them, raise the number again before then"
    )


def describe_window(
    window: MaintenanceWindow, *, now_ns: int, known: Container[str], roster: Roster
) -> declaration_answers.MaintenanceWindow:
    """A maintenance window, when it comes next, and what of it no device has.

    `known`: the ids of all devices; `roster`: their labels.
    """
    following = next_occurrence(window, after_ns=now_ns)
    return declaration_answers.MaintenanceWindow(
        id=window.id,
        title=window.title,
        labels=window.labels,
        devices=list(window.devices),
        all=window.is_for_all,
        start=format_rfc3339(window.start_ns),
        end=_time(window.end_ns),
        recurrence=None if window.recurrence is None else _weekly(window.recurrence),
        next=None if following is None else answers.Span(*map(format_rfc3339, following)),
        is_on=following is not None and following[0] <= now_ns,
        notes=[
            *[f"there is no device {name}" for name in window.devices if name not in known][:UNKNOWN_LISTED_MAX],
            *selection_notes(roster, tuple(window.labels.items())),
        ],
    )


def _weekly(recurrence: Recurrence) -> Weekly:
    hour, minute = divmod(recurrence.start_minute, 60)
    return Weekly(
        at=f"{hour:02}:{minute:02}",
        duration=format_seconds(recurrence.duration_s),
        timezone=recurrence.timezone,
        weekdays=[WEEKDAYS[day] for day in recurrence.weekdays] or None,
    )


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None or at_ns == NEVER_NS else format_rfc3339(at_ns)
