"""`fleetpulse simulate`: a fleet for trying and testing, held against what the server answers."""

import argparse
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fleetpulse.errors import OperatorError, SettingsError
from fleetpulse.ingest.devices_file import read_devices
from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.simulation.plan import Behaviour, DevicePlan, plan_fleet, plan_published
from fleetpulse.simulation.run import RunOptions, Tally, Verdict, ask_all, count_known, say

ROWS_SHOWN = 20
HOURS_MAX = 24 * 366
_BEHAVIOUR = {
    "outage_share": "share of time a device is switched off",
    "link_outage_share": "share of time a device is cut off; it buffers, and flushes in disorder",
    "outage_s": "mean seconds of an outage",
    "duplicate_share": "share of heartbeats sent twice",
    "jitter_s": "seconds a heartbeat may be early or late",
    "skewed_share": "share of devices whose clock is wrong",
    "skew_s": "seconds a wrong clock is off at most",
    "upload_every_s": "seconds between upload statistics",
}


def add_command(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "simulate",
        help="play a fleet against a server and check its figures",
        description="Play a fleet with outages, backlogs, duplicates, disorder and wrong clocks against any server that speaks the "
        "contract, then compare uptime and average upload time of every device with what they must be. Exits 1 on any mismatch.",
    )
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:6733", help="the server (default: %(default)s)")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--devices", type=int, metavar="N", help="N devices named sim-SEED-0000001 … (default: 10)")
    who.add_argument("--ids", metavar="FILE", help="the devices of a devices.csv")
    who.add_argument("--published", action="store_true", help="the published reference run: five devices, eight hours")
    add("--hours", type=float, default=8.0, metavar="H", help="hours of fleet life (default: %(default)g)")
    add(
        "--start",
        metavar="TIME",
        help="RFC 3339 time of the first minute (default: so that it ends now; realtime: now)",
    )
    add(
        "--speed",
        choices=("realtime", "max"),
        default="max",
        help="as fast as it comes, or minute for minute (default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="the same seed plans the same fleet (default: %(default)s)")
    add("--connections", type=int, default=32, metavar="N", help="connections at once (default: %(default)s)")
    add(
        "--bulk",
        type=int,
        default=0,
        metavar="LINES",
        help="send through /api/v1/events, LINES events a request, as a gateway does",
    )
    add(
        "--patience",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds to wait for a server that is away (default: %(default)g)",
    )
    add("--all", action="store_true", help=f"show every device (default: what is wrong, and {ROWS_SHOWN} others)")
    add("--json", action="store_true", help="print the verdicts as JSON")
    behaviour = parser.add_argument_group("how the fleet behaves")
    for setting in fields(Behaviour):
        flag = "--" + setting.name.replace("_", "-")
        behaviour.add_argument(
            flag,
            type=float,
            default=setting.default,
            metavar="X",
            help=f"{_BEHAVIOUR[setting.name]} (default: {setting.default:g})",
        )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    if chosen.connections < 1 or not 0 < chosen.hours <= HOURS_MAX or chosen.bulk < 0 or chosen.seed < 0:
        raise SettingsError(
            f"--connections must be at least 1, --hours more than 0 and at most {HOURS_MAX}, --bulk and --seed at least 0."
        )
    if chosen.published and (chosen.start or chosen.speed == "realtime"):
        raise SettingsError("--published has times of its own: leave out --start and --speed realtime.")
    plans = _plans(chosen)
    options = RunOptions(chosen.url, chosen.connections, chosen.speed == "realtime", chosen.bulk, chosen.patience)
    console = Console(stderr=True)
    started_s = time.monotonic()
    try:
        known, tally, verdicts = uvloop.run(_play(plans, options, console))
    except BaseExceptionGroup as group:
        # Lanes fail together, for one reason.
        failures = group.subgroup(OperatorError)
        if failures is None:
            raise
        raise failures.exceptions[0] from None
    if chosen.json:
        print(msgspec.json.encode([asdict(verdict) for verdict in verdicts]).decode())
    else:
        _show(verdicts, tally, time.monotonic() - started_s, is_all=chosen.all)
    is_right = all(verdict.is_right for verdict in verdicts)
    if known and not is_right:
        text = f"{known} devices had data before this run, which counts too: try an empty data folder"
        text += "." if chosen.published or chosen.ids else ", or another --seed."
        console.print(f"[yellow]{text}")
    return 0 if is_right else 1


def _plans(chosen: argparse.Namespace) -> list[DevicePlan]:
    if chosen.published:
        return plan_published(seed=chosen.seed)
    if chosen.ids:
        ids = [device.id for device in read_devices(Path(chosen.ids))]
    else:
        ids = [
            f"sim-{chosen.seed}-{number:07d}"
            for number in range(1, (10 if chosen.devices is None else chosen.devices) + 1)
        ]
    if not ids:
        raise SettingsError(
            "there are no devices to simulate: give --devices at least 1, or an --ids file with devices."
        )
    try:
        behaviour = Behaviour(**{setting.name: getattr(chosen, setting.name) for setting in fields(Behaviour)})
        for name, value in asdict(behaviour).items():
            if not 0 <= value <= (1 if name.endswith("_share") else float("inf")):
                raise ValueError(f"--{name.replace('_', '-')} {value:g}")
        if chosen.start:
            start_ns = parse_rfc3339_ns(chosen.start)
        else:
            start_ns = time.time_ns() - (0 if chosen.speed == "realtime" else int(chosen.hours * 60) * NS_PER_MINUTE)
        return plan_fleet(ids, start_ns=start_ns, hours=chosen.hours, behaviour=behaviour, seed=chosen.seed)
    except (ValueError, ZeroDivisionError) as error:
        raise SettingsError(
            f"the fleet cannot be planned so: {error}. Shares are 0 to 1, seconds more than 0, times RFC 3339."
        ) from error


async def _play(plans: list[DevicePlan], options: RunOptions, console: Console) -> tuple[int, Tally, list[Verdict]]:
    events = sum(len(plan.send_at_ns) for plan in plans)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        known = await count_known(plans, options)
        saying = progress.add_task("saying", total=events)

        def said(tally: Tally) -> None:
            again = f"saying ({tally.repeated} said again)" if tally.repeated else "saying"
            progress.update(saying, completed=tally.said, description=again)

        tally = await say(plans, options, said)
        asking = progress.add_task("asking", total=len(plans))
        verdicts = await ask_all(plans, options, tally, lambda count: progress.advance(asking, count))
    return known, tally, verdicts


def _show(verdicts: list[Verdict], tally: Tally, seconds: float, *, is_all: bool) -> None:
    wrong = [verdict for verdict in verdicts if not verdict.is_right]
    right = [verdict for verdict in verdicts if verdict.is_right]
    shown = wrong + (right if is_all else right[:ROWS_SHOWN])
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("device", no_wrap=True)
    table.add_column("")
    for title in ("uptime", "actual", "average upload", "actual "):
        table.add_column(title, justify="right", no_wrap=True)
    for verdict in shown:
        table.add_row(
            verdict.device_id,
            "[green]✓" if verdict.is_right else "[red]✗",
            f"{verdict.uptime_expected:.5f}",
            f"{'' if verdict.is_uptime_right else '[red]'}{verdict.uptime_actual:.5f}",
            format_duration(verdict.average_expected_ns),
            f"{'' if verdict.is_average_right else '[red]'}{verdict.average_actual}",
        )
    hidden = len(verdicts) - len(shown)
    undecided = sum(len(values) for values in tally.ambiguous.values())
    parts = [
        f"{len(right)} of {len(verdicts)} devices right, {tally.said} events in {seconds:.1f} s ({tally.said / seconds:.0f}/s)"
    ]
    parts += [f"{hidden} more that are right are not shown (--all)"] if hidden else []
    parts += [f"{tally.repeated} requests said again"] if tally.repeated else []
    parts += [f"{undecided} sample(s) broke off and may count once or twice"] if undecided else []
    console = Console()
    console.print(table)
    console.print("; ".join(parts) + ".", soft_wrap=True)
