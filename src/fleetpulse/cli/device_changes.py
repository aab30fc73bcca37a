"""The actions of `fleetpulse devices` that declare: one device, those that match, or those of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import (
    NONE,
    Address,
    DeviceId,
    Duration,
    Filters,
    Labels,
    Names,
    Service,
    Time,
    action,
    labels_of,
    one_of,
)
from fleetpulse.cli.output_file import Output
from fleetpulse.cli.tables import (
    Cell,
    Part,
    Table,
    facts_of,
    known,
    labels_cell,
    left,
    prose,
    status_cell,
    table_of,
    time_cell,
)
from fleetpulse.errors import SettingsError
from fleetpulse.notation.count import count_text
from fleetpulse.query.declaration_answers import (
    Change,
    Device,
    FieldChange,
    FieldValue,
    Forgetting,
    ForgottenBefore,
    Imported,
    Message,
    PolicyInForce,
    Relabelled,
)

DEVICES = "/api/v1/devices"
REFUSED_SHOWN = 20
UNTIL = one_of("Until when")
app = App()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DeviceDeclaration:
    """What is declared of a device.

    Attributes:
        label: A label to set; may be repeated.
        interval: Time between two heartbeats; `none` means the service's default.
        grace: Time after the interval until it is down; `none` means the service's default.
        note: A note for people.
    """

    label: Labels = ()
    interval: Duration = None
    grace: Duration = None
    note: Annotated[str | None, Parameter(metavar="TEXT")] = None

    def body(self) -> dict[str, Any]:
        """The fields of a request, without the labels."""
        fields = {"interval": self.interval, "grace": self.grace, "note": self.note}
        given = {name: value for name, value in fields.items() if value is not None}
        return {name: None if value == NONE and name != "note" else value for name, value in given.items()}


@action(app, "fleetpulse devices add press-07 --label site:paris --interval 5m --grace 20m")
def add(
    device: DeviceId, /, *, declared: DeviceDeclaration = DeviceDeclaration(), service: Service = Service()
) -> None:
    """Declare a device."""
    body = {"id": device, "labels": labels_of(declared.label), **declared.body()}
    service.ask(DEVICES, method="POST", body=body, shape=Device, parts=_device_parts)


@action(app, "fleetpulse devices set press-07 --label site:lyon --remove-label hall --interval none")
def set_(
    device: DeviceId,
    /,
    *,
    declared: DeviceDeclaration = DeviceDeclaration(),
    remove_label: Annotated[Names, Parameter(help="A label to take away; may be repeated.")] = (),
    since: Time = None,
    service: Service = Service(),
) -> None:
    """Change what is declared of a device; what is not given stays as it is.

    A changed interval or grace counts from now on; each moment before is judged by what was in force then.

    Args:
        since: A correction: since when, RFC 3339, it has had this interval or grace.
    """
    labels = labels_of(declared.label) | dict.fromkeys(remove_label)
    body = {**({"labels": labels} if labels else {}), **declared.body()}
    if body and since is not None:
        body["since"] = since
    if not body:
        raise SettingsError("nothing is to be changed: give --label, --remove-label, --interval, --grace or --note.")
    service.ask(_path(device), method="PATCH", body=body, shape=Device, parts=_device_parts)


@action(app, "fleetpulse devices relabel --label site:paris --set region:north --remove hall --dry-run")
def relabel(
    *,
    filters: Filters = Filters(),
    set_: Annotated[Labels, Parameter(name="--set")] = (),
    remove: Names = (),
    dry_run: bool = False,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    service: Service = Service(),
) -> None:
    """Set or take away labels of all devices that match the filters.

    Args:
        set_: A label to set; may be repeated.
        remove: A label to take away; may be repeated.
        dry_run: Only count the devices; change none.
        all_: Change every device; needed if no filter is given.
    """
    labels = labels_of(set_) | dict.fromkeys(remove)
    if not labels:
        raise SettingsError("nothing is to be changed: give --set NAME:VALUE or --remove NAME.")
    if not all_ and filters == Filters(uptime_window=filters.uptime_window):
        raise SettingsError(
            "no filter is given: say which devices, such as --label NAME:VALUE, or --all for every one."
        )
    query = [*filters.query(), ("dry_run", dry_run), ("all", all_)]
    service.ask(DEVICES, query, method="PATCH", body={"labels": labels}, shape=Relabelled, parts=_relabelled_parts)


def _relabelled_parts(relabelled: Relabelled) -> list[Part]:
    change = "would be" if relabelled.dry_run else "was" if relabelled.changed == 1 else "were"
    counts = f"{count_text(relabelled.matched, 'device')} matched, {relabelled.changed} {change} changed."
    return [*(change_parts(relabelled.changes) if relabelled.dry_run else []), counts]


@action(app, "fleetpulse devices delete press-07")
def delete(device: DeviceId, /, *, service: Service = Service()) -> None:
    """Delete a device; its history stays until retention."""
    service.ask(_path(device), method="DELETE", shape=Message, parts=message_parts)


@action(app, "fleetpulse devices pause press-07 --for 2h")
def pause(
    device: DeviceId,
    /,
    *,
    until: Annotated[Time, Parameter(group=UNTIL)] = None,
    duration: Annotated[Duration, Parameter(name="--for", group=UNTIL)] = None,
    service: Service = Service(),
) -> None:
    """Expect nothing of a device, until a time or until it is resumed.

    Args:
        until: Until this time, RFC 3339.
        duration: For this long, such as 2h or 3d.
    """
    end = {"until": until, "duration": duration}
    body = {name: value for name, value in end.items() if value is not None}
    service.ask(f"{_path(device)}/pause", method="POST", body=body, shape=Device, parts=_device_parts)


@action(app, "fleetpulse devices resume press-07")
def resume(device: DeviceId, /, *, service: Service = Service()) -> None:
    """Expect a paused device again."""
    service.ask(f"{_path(device)}/resume", method="POST", shape=Device, parts=_device_parts)


@action(app, "fleetpulse devices forget press-07 --before 2026-01-01T00:00:00Z --dry-run")
def forget(device: DeviceId, /, *, before: str, dry_run: bool = False, service: Service = Service()) -> None:
    """Remove what a device sent before a time, for good: presence and samples that a wrong clock has spoilt.

    Args:
        before: By the device's clock, RFC 3339; seconds are cut off.
        dry_run: Only count it; remove nothing.
    """
    query = [("dry_run", dry_run)]
    path, body = f"{_path(device)}/forget", {"before": before}
    service.ask(path, query, method="POST", body=body, shape=Forgetting, parts=_forgetting_parts)


def _forgetting_parts(answer: Forgetting) -> list[Part]:
    counted = f"{count_text(answer.minutes, 'minute')} of presence and {count_text(answer.samples, 'sample')}"
    counted += f" of {answer.device_id}"
    if answer.dry_run:
        return [f"{counted} before {time_cell(answer.before)} would be removed."]
    later = "" if answer.done else " The blocks still hold them, until the next checkpoint: see the service's log."
    return [f"{counted} before {time_cell(answer.before)} were removed.{later}"]


@action(app, "fleetpulse devices import fleet.csv --dry-run")
def import_(
    file: Annotated[Path, Parameter(name="FILE.csv")], /, *, dry_run: bool = False, service: Service = Service()
) -> int:
    """Declare the devices of a CSV: new ones are added, known ones get the values of its columns.

    Its first column is device_id; interval, grace and note are optional, and any other column is a label.
    An empty cell takes the value away; what the CSV has no column for stays.
    Lines that are wrong are listed, and all others are imported; the exit status is 1 if any line was wrong.

    Args:
        file: The CSV, UTF-8.
        dry_run: Only show what would change, before and after; import nothing.
    """
    try:
        body = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}. Name another file.") from error
    with service.client() as client:
        query = [("dry_run", dry_run)]
        answer = client.send("POST", f"{DEVICES}.csv", query, body, content_type="text/csv; charset=utf-8")
    service.show(answer, Imported, imported_parts)
    return 1 if answer.into(Imported).refused_total else 0


def imported_parts(imported: Imported) -> list[Part]:
    """What would change, the counts, and the first refused lines."""
    would = "would be " if imported.dry_run else ""
    unchanged = imported.known - imported.changed
    counts = f"{would}new: {imported.new}, {would}changed: {imported.changed}, unchanged: {unchanged}"
    lines = [f"{counts}, refused: {imported.refused_total}."]
    lines += [f"line {refused.line}: {refused.msg}" for refused in imported.refused[:REFUSED_SHOWN]]
    hidden = imported.refused_total - REFUSED_SHOWN
    text = "\n".join([*lines, *([f"… and {hidden} more"] if hidden > 0 else [])])
    return [*(change_parts(imported.changes) if imported.dry_run else []), text]


def change_parts(changes: Sequence[Change], *, title: str = "device") -> list[Part]:
    """The fields that change, before and after. Args: title: what changes."""
    rows: list[list[Cell]] = [
        [
            f"{change.id} (new)" if change.new else change.id,
            field.field,
            value_text(field.before),
            value_text(field.after),
        ]
        for change in changes
        for field in change.fields or [FieldChange("", None, None)]
    ]
    return [table_of([left(title), left("field"), prose("before"), prose("after")], rows)]


def value_text(value: FieldValue) -> str:
    """A value as a cell; none is empty."""
    if isinstance(value, list):
        return " to ".join("any" if bound is None else str(bound) for bound in value)
    return "" if value is None else str(value)


@action(app, "fleetpulse devices export --label site:paris -o paris.csv")
def export(*, filters: Filters = Filters(), output: Output = Output(), address: Address = Address()) -> None:
    """Write devices as CSV, which `devices import` can read."""
    output.check()
    with address.client() as client:
        body = client.get(f"{DEVICES}.csv", filters.query()).raw
    output.write(body)


def _path(device: str) -> str:
    return f"{DEVICES}/{segment(device)}"


def message_parts(message: Message) -> list[Part]:
    """What was done, as a line."""
    return [f"{message.msg}."]


def _device_parts(device: Device) -> list[Part]:
    return [device_facts(device)]


def _forgotten_cell(one: ForgottenBefore) -> str:
    counted = f"{count_text(one.minutes, 'minute')} and {count_text(one.samples, 'sample')}"
    return f"{counted} before {time_cell(one.before)}, on {time_cell(one.at)}"


def _policy_cell(one: PolicyInForce) -> str:
    since = f"since {time_cell(one.start)}" if one.start else "since ever"
    known_by = f"; gaps before {time_cell(known(one.exact_from))} by minutes" if known(one.exact_from) else ""
    return f"{one.interval}, grace {one.grace}, gaps beyond {one.gap_after_s:g} s, {since}{known_by}"


def _ignored_text(ignored: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count_text(count, 'event')})" for name, count in ignored.items())


def device_facts(device: Device, *, now_s: int | None = None) -> Table:
    """All that is known of a device. `now_s` is the server's time, in s since 1970."""
    own = " (the service's own)"
    return facts_of(
        [
            ("device", device.id),
            ("status", status_cell(device.status, since=device.since, now_s=now_s)),
            ("since", time_cell(device.since)),
            ("paused until", time_cell(known(device.paused_until))),
            ("last seen", time_cell(device.last_seen) or "never"),
            ("labels", labels_cell(device.labels)),
            ("interval", device.interval + ("" if device.has_own_interval else own)),
            ("grace", device.grace + ("" if device.has_own_grace else own)),
            *(("in force", _policy_cell(one)) for one in known(device.policies) or ()),
            ("note", device.note),
            ("ignored fields", _ignored_text(known(device.ignored_fields) or {})),
            ("created", time_cell(device.created_at)),
            *(("forgotten", _forgotten_cell(one)) for one in known(device.forgotten) or ()),
        ]
    )
