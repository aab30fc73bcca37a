"""`fleetpulse alerts rehearse`: what a rule would have done over stored history."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fleetpulse.cli.flags import Service, Window
from fleetpulse.cli.tables import Part, facts_of, left, right, table_of, time_cell
from fleetpulse.errors import SettingsError
from fleetpulse.query.rehearsal_answers import Rehearsal, RehearsedDay

REHEARSE = "/api/v1/alerts/rehearse"
BAR_COLUMNS = 40


def rehearse(
    *,
    rule: Annotated[str | None, Parameter(metavar="NAME")] = None,
    file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    window: Window = Window(),
    service: Service = Service(),
) -> None:
    """Show what a rule would have done over stored history: how many alerts, when, and who would have been told.

    Nothing is declared, and nobody is told. Routes, silences and labels are those of today.

    Args:
        rule: Name of a rule that is declared; with --file, of one of the rules of the file.
        file: A file with a rule, as alerts.toml has them.
    """
    if rule is None and file is None:
        raise SettingsError("Say with --rule which declared rule is meant, or give one with --file.")
    body: dict[str, Any] = {"name": rule} if file is None else proposed(file, rule)
    service.ask(REHEARSE, window.query(default="30d"), shape=Rehearsal, parts=rehearsal_parts, method="POST", body=body)


def proposed(file: Path, name: str | None) -> dict[str, Any]:
    """The rule of a file: the one with that name, or the only one."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise SettingsError(f"{file} does not exist.") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error}. Expected TOML in UTF-8.") from error
    tables = document.get("rule", [])
    rules = [one for one in tables if isinstance(one, dict)] if isinstance(tables, list) else []
    chosen = [one for one in rules if name in (None, one.get("name"))]
    if len(chosen) != 1:
        names = ", ".join(str(one.get("name", "?")) for one in rules) or "none"
        raise SettingsError(f"{file} must have one rule that is meant, below [[rule]]; there are: {names}. Use --rule.")
    fields = dict(chosen[0])
    return {"name": fields.pop("name", ""), "rule": fields}


def rehearsal_parts(answer: Rehearsal) -> list[Part]:
    """The figures, a bar a day, and the first alerts."""
    receivers = ", ".join(f"{name} {count}" for name, count in answer.receivers.items())
    facts = [
        ("rule", answer.rule),
        ("from", time_cell(answer.start)),
        ("to", time_cell(answer.end)),
        ("alerts", str(answer.alerts)),
        ("fired again", str(answer.again)),
        ("open at the start", str(answer.open_at_start)),
        ("of devices or groups", str(answer.subjects)),
        ("common causes", str(answer.incidents)),
        ("messages", f"{answer.messages}{f' ({receivers})' if receivers else ''}"),
    ]
    days = table_of(
        [left("day"), right("alerts"), right("messages"), left("")],
        [[one.day, str(one.alerts), str(one.messages), _bar(one, answer)] for one in answer.days],
    )
    if not answer.first:
        return [facts_of(facts), days]
    alerts = table_of(
        [left("subject"), left("since"), left("fired"), left("resolved"), right("value")],
        [
            [
                one.subject,
                time_cell(one.since),
                time_cell(one.fired_at),
                time_cell(one.resolved_at) if one.resolved_at else "firing",
                "" if one.value is None else f"{one.value:.6g}",
            ]
            for one in answer.first
        ],
    )
    return [facts_of(facts), days, alerts]


def _bar(day: RehearsedDay, answer: Rehearsal) -> str:
    most = max((one.alerts for one in answer.days), default=0)
    return "" if not day.alerts else "█" * max(1, round(BAR_COLUMNS * day.alerts / most))
