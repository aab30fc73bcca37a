"""`fleetpulse metrics`: what may be reported, and what was."""

import argparse
from typing import Any

from rich.table import Table

from fleetpulse.cli.client import Client, segment
from fleetpulse.cli.client_flags import NONE, add_action, add_group, add_labels, add_window, label_query, window_query
from fleetpulse.cli.tables import (
    facts_of,
    left,
    prose,
    right,
    series_values,
    show,
    show_json,
    sparkline,
    table_of,
    time_cell,
    value_cell,
)
from fleetpulse.cli.uptime import group_name, missing_lines, window_text
from fleetpulse.errors import SettingsError
from fleetpulse.model.metric import AGGREGATIONS, KINDS

DEFINITIONS = "/api/v1/metrics/definitions"
DEFAULT = "1h"
_TEXTS = ("unit", "kind", "aggregation", "description")


def add_command(commands: Any) -> None:
    """Declare the command."""
    actions = add_group(commands, "metrics", text="define metrics, and ask for the values of devices and of the fleet")
    add_action(actions, "list", _list, text="list the metrics that may be reported", example="fleetpulse metrics list")
    parser = add_action(actions, "show", _show, text="show one definition", example="fleetpulse metrics show cpu")
    parser.add_argument("name", help="its name")
    parser = add_action(
        actions,
        "define",
        _define,
        text="define a metric",
        example="fleetpulse metrics define cpu --unit % --aggregation avg --lowest 0 --highest 100 --retention-days 90",
    )
    parser.add_argument("name", help="its name")
    parser.add_argument("--kind", metavar="KIND", help=f"{' or '.join(KINDS)} (default: float); never changes")
    _add_fields(parser)
    parser = add_action(
        actions,
        "change",
        _change,
        text="change a definition",
        more="What is not named stays.",
        example="fleetpulse metrics change cpu --retention-days 30 --highest none",
    )
    parser.add_argument("name", help="its name")
    _add_fields(parser)
    parser = add_action(
        actions,
        "remove",
        _remove,
        text="take a definition back; samples stay until their retention",
        example="fleetpulse metrics remove cpu",
    )
    parser.add_argument("name", help="its name")
    _add_questions(actions)


def _add_fields(parser: Any) -> None:
    parser.add_argument("--unit", help="what its values are in, such as %% or ms")
    parser.add_argument("--aggregation", metavar="HOW", help=f"how many values become one: {', '.join(AGGREGATIONS)}")
    parser.add_argument("--retention-days", type=int, metavar="N", help="days after which it is gone")
    parser.add_argument(
        "--raw-days", metavar="N", help=f"days after which the samples are gone and roll-ups answer; {NONE}: the same"
    )
    parser.add_argument("--lowest", metavar="X", help=f"a value below is refused; {NONE}: no bound")
    parser.add_argument("--highest", metavar="X", help=f"a value above is refused; {NONE}: no bound")
    parser.add_argument("--description", help="what it is, for people")


def _add_questions(actions: Any) -> None:
    parser = add_action(
        actions,
        "get",
        _get,
        text="values of a device's metrics over a window",
        example="fleetpulse metrics get press-07 --types cpu,memory --window 6h --step 15m",
    )
    parser.add_argument("id", help="the device's id")
    _add_question(parser)
    parser = add_action(
        actions,
        "fleet",
        _fleet,
        text="values of the metrics of all devices, or by the values of a label",
        example="fleetpulse metrics fleet --types upload_time --aggregation p95 --group-by site --window 1d",
    )
    _add_question(parser)
    parser.add_argument("--group-by", metavar="NAME", help="a label: a line for each of its values")
    add_labels(parser, "only devices that have this label")


def _add_question(parser: Any) -> None:
    parser.add_argument("--types", required=True, metavar="NAME,…", help="metrics by name")
    parser.add_argument(
        "--aggregation", metavar="HOW", help=f"{', '.join(AGGREGATIONS)} (default: that of its definition)"
    )
    add_window(parser, default=DEFAULT)


def _list(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        answer = client.get(DEFINITIONS)
    if chosen.json:
        show_json(answer)
        return
    columns = [
        *map(left, ("metric", "unit", "kind", "aggregation")),
        *map(right, ("days", "raw days", "lowest", "highest")),
        prose(""),
    ]
    rows = [
        [metric["name"], metric["unit"], metric["kind"], metric["aggregation"], *_limits(metric), metric["description"]]
        for metric in answer.value["metrics"]
    ]
    show(table_of(columns, rows))


def _limits(metric: dict[str, Any]) -> list[str]:
    raw_days = metric["raw_days"]
    return [str(metric["retention_days"]), "" if raw_days is None else str(raw_days), *map(_bound, metric["bounds"])]


def _bound(bound: float | None) -> str:
    return "" if bound is None else str(bound)


def _facts(metric: dict[str, Any]) -> Table:
    titles = ("retention days", "raw days", "lowest", "highest")
    texts = [(name, metric[name]) for name in ("name", *_TEXTS)]
    return facts_of([*texts, *zip(titles, _limits(metric), strict=True)])


def _show(chosen: argparse.Namespace) -> None:
    _ask(chosen, "GET")


def _define(chosen: argparse.Namespace) -> None:
    bounds = [_number(bound) for bound in (chosen.lowest, chosen.highest)]
    _ask(chosen, "POST", DEFINITIONS, {"name": chosen.name, **_fields(chosen), "bounds": bounds})


def _change(chosen: argparse.Namespace) -> None:
    body = _fields(chosen)
    bounds = chosen.lowest, chosen.highest
    if bounds != (None, None):
        with Client(chosen.url) as client:
            known = client.get(_path(chosen)).value["bounds"]
        body["bounds"] = [
            before if bound is None else _number(bound) for before, bound in zip(known, bounds, strict=True)
        ]
    if not body:
        raise SettingsError(
            "nothing is to be changed: give --unit, --aggregation, --retention-days or another of its fields."
        )
    _ask(chosen, "PATCH", body=body)


def _remove(chosen: argparse.Namespace) -> None:
    _ask(chosen, "DELETE")


def _fields(chosen: argparse.Namespace) -> dict[str, Any]:
    said = {name: getattr(chosen, name, None) for name in (*_TEXTS, "retention_days")}
    fields = {name: value for name, value in said.items() if value is not None}
    return fields | ({} if chosen.raw_days is None else {"raw_days": _number(chosen.raw_days)})


def _number(text: str | None) -> int | float | None:
    """A number as it was written: whole ones stay exact."""
    if text is None or text == NONE:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError as error:
        raise SettingsError(f"`{text}` is not a number; expected one such as 100 or 0.5, or {NONE}.") from error


def _ask(chosen: argparse.Namespace, method: str, path: str | None = None, body: object = None) -> None:
    with Client(chosen.url) as client:
        answer = client.send(method, path or _path(chosen), body=body)
    if chosen.json:
        show_json(answer)
    elif "msg" in answer.value:
        show(f"{answer.value['msg']}.")
    else:
        show(_facts(answer.value))


def _path(chosen: argparse.Namespace) -> str:
    return f"{DEFINITIONS}/{segment(chosen.name)}"


def _get(chosen: argparse.Namespace) -> None:
    query = [("types", chosen.types), ("aggregation", chosen.aggregation), *window_query(chosen, default=DEFAULT)]
    with Client(chosen.url) as client:
        answer = client.get(f"/api/v1/devices/{segment(chosen.id)}/metrics", query)
    if chosen.json:
        show_json(answer)
        return
    said = answer.value
    about: dict[str, Any] = said["metrics"]
    columns = [left("metric"), left("how"), *_figure_columns(said)]
    rows = [[name, metric["aggregation"], *_figure_cells(metric, metric, said)] for name, metric in about.items()]
    show(f"{said['device_id']}, {window_text(said)}", table_of(columns, rows))
    if "step_s" in said:
        _show_points(about)
    _show_notes(about, said)


def _fleet(chosen: argparse.Namespace) -> None:
    query = [
        ("types", chosen.types),
        ("aggregation", chosen.aggregation),
        ("group_by", chosen.group_by),
        *label_query(chosen),
        *window_query(chosen, default=DEFAULT),
    ]
    with Client(chosen.url) as client:
        answer = client.get("/api/v1/fleet/metrics", query)
    if chosen.json:
        show_json(answer)
        return
    said = answer.value
    by, about = said["group_by"], said["metrics"]
    columns = [*([left(by)] if by else []), right("devices"), left("metric"), left("how"), *_figure_columns(said)]
    rows = [
        [
            *([group_name(group["group"])] if by else []),
            str(group["devices"]),
            name,
            about[name]["aggregation"],
            *_figure_cells(metric, about[name], said),
        ]
        for group in said["groups"]
        for name, metric in group["metrics"].items()
    ]
    show(window_text(said), table_of(columns, rows))
    _show_notes(about, said)


def _figure_columns(said: dict[str, Any]) -> list[Any]:
    if "step_s" not in said:
        return [right("value"), left("unit"), right("samples")]
    return [
        *map(right, ("lowest", "highest", "newest")),
        left("unit"),
        right("samples"),
        left(f"in steps of {said['step_s']} s"),
    ]


def _figure_cells(metric: dict[str, Any], about: dict[str, Any], said: dict[str, Any]) -> list[str]:
    """The cells of `_figure_columns`."""
    unit = _unit(about)
    shown = "" if unit == "ns" else unit  # durations are written with theirs
    if "step_s" not in said:
        return [value_cell(metric["value"], unit), shown, str(metric["count"])]
    values = [point["value"] for point in metric["series"]]
    figures = [min(values, default=None), max(values, default=None), values[-1] if values else None]
    line = sparkline(series_values(metric["series"], said, key="value"))
    return [*(value_cell(value, unit) for value in figures), shown, str(metric["count"]), line]


def _unit(about: dict[str, Any]) -> str:
    return "" if about["aggregation"] == "count" else str(about["unit"])


def _show_points(about: dict[str, Any]) -> None:
    """A line a step, a column a metric."""
    values = {name: {point["at"]: point["value"] for point in metric["series"]} for name, metric in about.items()}
    times = sorted({at for points in values.values() for at in points})
    rows = [
        [time_cell(at), *(value_cell(values[name].get(at), _unit(metric)) for name, metric in about.items())]
        for at in times
    ]
    if rows:
        show(table_of([left("at"), *(right(name) for name in about)], rows))


def _show_notes(about: dict[str, Any], said: dict[str, Any]) -> None:
    for name, metric in about.items():
        notes = [
            metric.get("method"),
            metric.get("note"),
            f"kept from {metric['kept_from']} on" if "kept_from" in metric else None,
        ]
        show(*(f"{name}: {note}" for note in notes if note))
    show(*missing_lines(said))
