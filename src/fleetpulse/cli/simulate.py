"""`fleetpulse simulate`: a fleet for trying and testing, checked against the answers of the server."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import uvloop
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fleetpulse.cli.beating_flags import BeatingFlags
from fleetpulse.cli.flags import Address, Time, Whole, WholeOrNone, one_of
from fleetpulse.cli.key_source import read_key
from fleetpulse.cli.tables import Cell, left, mark_cell, right, show, table_of
from fleetpulse.errors import OperatorError, SettingsError
from fleetpulse.ingest.devices_file import read_devices
from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.notation.count import count_text
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.simulation.beating import Beating, check_behaviour
from fleetpulse.simulation.plan import Behaviour, DevicePlan, plan_fleet, plan_published
from fleetpulse.simulation.run import RunOptions, Tally, ask_all, count_known, send_all
from fleetpulse.simulation.verdict import Verdict

ROWS_SHOWN = 20
HOURS_MAX = 24 * 366
DEVICES_DEFAULT = 10
FLEET = one_of("Which devices")
app = App(
    name="simulate",
    help_epilogue="The fleet has outages, backlogs, duplicates, disorder and wrong clocks, and reports to any "
    "server that speaks the contract. Then uptime and average upload time of every device are compared with what they "
    "must be; the exit status is 1 on any mismatch.\n\n"
    "Example:\n  fleetpulse simulate --devices 100 --hours 24 --bulk 500",
)


@app.default
def simulate(
    *,
    address: Address = Address(),
    devices: Annotated[WholeOrNone, Parameter(group=FLEET)] = None,
    ids: Annotated[Path | None, Parameter(metavar="FILE", group=FLEET)] = None,
    published: Annotated[bool, Parameter(group=FLEET)] = False,
    hours: Annotated[float, Parameter(metavar="H")] = 8.0,
    start: Time = None,
    speed: Literal["realtime", "max"] = "max",
    seed: Whole = 1,
    connections: Whole = 32,
    bulk: Annotated[Whole, Parameter(metavar="LINES")] = 0,
    patience: Annotated[float, Parameter(metavar="S")] = 60.0,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    json: bool = False,
    beating: BeatingFlags = BeatingFlags(),
    behaviour: Annotated[Behaviour, Parameter(name="*", group="How the fleet behaves")] = Behaviour(),
) -> int:
    """Simulate a fleet that reports to a server, and check the server's figures.

    Args:
        devices: How many devices, named sim-SEED-0000001 and so on (default: 10).
        ids: File with the devices, such as devices.csv.
        published: Repeat the published reference run: five devices, eight hours.
        hours: How many hours of reports to simulate.
        start: Time of the first minute, RFC 3339 (default: so that it ends now; with --speed realtime: now).
        speed: As fast as the server answers, or minute for minute.
        seed: The same seed plans the same fleet.
        connections: Connections at the same time.
        bulk: Send this many events in each request to /api/v1/events, as a gateway does; 0 sends each by itself.
        patience: Seconds to wait for a server that does not answer.
        all_: Show every device (default: those that are wrong, and 20 others).
        json: Print the verdicts as JSON.
    """
    if connections < 1 or not 0 < hours <= HOURS_MAX or bulk < 0 or seed < 0:
        text = f"--connections must be at least 1, --hours more than 0 and at most {HOURS_MAX}"
        raise SettingsError(f"{text}, --bulk and --seed at least 0.")
    is_realtime = speed == "realtime"
    if published:
        if start or is_realtime:
            raise SettingsError("--published has times of its own: leave out --start and --speed realtime.")
        plans = plan_published(seed=seed)
    else:
        device_ids = _device_ids(devices, ids, seed)
        start_ns = _start_ns(start, past_h=0 if is_realtime else hours)
        plans = _plans(device_ids, start_ns, hours=hours, beating=beating, behaviour=behaviour, seed=seed)
    console, started_s, key = Console(stderr=True), time.monotonic(), read_key(address.key_file)
    options = RunOptions(address.base, connections, is_realtime, bulk, patience, key, announce=console.print)
    known, tally, verdicts = _play(plans, options, console)
    if json:
        print(msgspec.json.encode([asdict(verdict) for verdict in verdicts]).decode())
    else:
        _show(verdicts, tally, time.monotonic() - started_s, is_all=all_)
    is_right = all(verdict.is_right for verdict in verdicts)
    if known and not is_right:
        text = f"{count_text(known, 'device')} had data before this run, which counts too: try an empty data folder"
        console.print(f"[yellow]{text}{'.' if published or ids else ', or another --seed.'}")
    return 0 if is_right else 1


def _device_ids(count: int | None, file: Path | None, seed: int) -> list[str]:
    if file:
        device_ids = [line.device.id for line in read_devices(file)]
    else:
        numbers = range(1, (DEVICES_DEFAULT if count is None else count) + 1)
        device_ids = [f"sim-{seed}-{number:07d}" for number in numbers]
    if not device_ids:
        text = "there are no devices to simulate: give --devices at least 1, or an --ids file with devices."
        raise SettingsError(text)
    return device_ids


def _start_ns(start: str | None, *, past_h: float) -> int:
    """Raises: SettingsError: the time is none."""
    if not start:
        return time.time_ns() - int(past_h * 60) * NS_PER_MINUTE
    try:
        return parse_rfc3339_ns(start)
    except ValueError as error:
        raise SettingsError(f"--start must be an RFC 3339 time such as 2026-11-24T08:30:00Z, not {start}.") from error


def _plans(
    device_ids: list[str], start_ns: int, *, hours: float, beating: Beating, behaviour: Behaviour, seed: int
) -> list[DevicePlan]:
    try:
        beating.check()
        check_behaviour(asdict(behaviour))
        return plan_fleet(device_ids, start_ns=start_ns, hours=hours, beating=beating, behaviour=behaviour, seed=seed)
    except (ValueError, ZeroDivisionError) as error:
        text = f"the fleet cannot be planned so: {error}. Shares are 0 to 1, seconds more than 0."
        raise SettingsError(text) from error


def _play(plans: list[DevicePlan], options: RunOptions, console: Console) -> tuple[int, Tally, list[Verdict]]:
    """How many devices had data before, what happened on the way, and a verdict a device. Raises: OperatorError."""
    try:
        return uvloop.run(_run(plans, options, console))
    except BaseExceptionGroup as group:
        # Lanes fail together, for one reason.
        failures = group.subgroup(OperatorError)
        if failures is None:
            raise
        raise failures.exceptions[0] from None


async def _run(plans: list[DevicePlan], options: RunOptions, console: Console) -> tuple[int, Tally, list[Verdict]]:
    events = sum(len(plan.send_at_ns) for plan in plans)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        known = await count_known(plans, options)
        sending = progress.add_task("sending", total=events)

        def advanced(tally: Tally) -> None:
            again = f"sending ({tally.repeated} sent again)" if tally.repeated else "sending"
            progress.update(sending, completed=tally.sent, description=again)

        tally = await send_all(plans, options, advanced)
        checking = progress.add_task("checking", total=len(plans))
        verdicts = await ask_all(plans, options, tally, lambda count: progress.advance(checking, count))
    return known, tally, verdicts


def _show(verdicts: list[Verdict], tally: Tally, seconds: float, *, is_all: bool) -> None:
    wrong = [verdict for verdict in verdicts if not verdict.is_right]
    right_ones = [verdict for verdict in verdicts if verdict.is_right]
    shown = wrong + (right_ones if is_all else right_ones[:ROWS_SHOWN])
    columns = [left("device"), left(""), *map(right, ("uptime", "actual", "average upload", "actual "))]
    table = table_of(columns, map(_row, shown))
    hidden = len(verdicts) - len(shown)
    pace = f"{tally.sent} events in {seconds:.1f} s ({tally.sent / seconds:.0f}/s)"
    parts = [f"{len(right_ones)} of {count_text(len(verdicts), 'device')} right, {pace}"]
    parts += [f"{hidden} more that are right are not shown (--all)"] if hidden else []
    parts += [f"{count_text(tally.repeated, 'request')} sent again"] if tally.repeated else []
    show(table, "; ".join(parts) + ".")


def _row(verdict: Verdict) -> list[Cell]:
    return [
        verdict.device_id,
        mark_cell("✓" if verdict.is_right else "✗", is_good=verdict.is_right),
        f"{verdict.uptime_expected:.5f}",
        mark_cell(f"{verdict.uptime_actual:.5f}", is_good=verdict.is_uptime_right),
        format_duration(verdict.average_expected_ns),
        mark_cell(str(verdict.average_actual), is_good=verdict.is_average_right),
    ]
