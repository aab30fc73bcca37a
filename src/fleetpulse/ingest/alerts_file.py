"""alerts.toml: lists of tables, each of one section, such as rules of alerts.

    [[rule]]
    name = "cpu-high"
    kind = "metric"
    condition = "cpu avg over 10m > 90"

Which sections there are, and how a table of one is read, is handed in.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fleetpulse.errors import AlertsFileError
from fleetpulse.ingest.alert_declarations import NamedRuleBody, declared_fields, rule_of
from fleetpulse.ingest.file_bytes import read_whole
from fleetpulse.ingest.malformed import BOM
from fleetpulse.ingest.receiver_declarations import (
    NamedReceiverBody,
    NamedRouteBody,
    receiver_fields,
    receiver_of,
    route_fields,
    route_of,
)
from fleetpulse.model.declaration_merge import Fields

FILE_BYTES_MAX = 4_000_000


class Entry(NamedTuple):
    """What a table of the file declares.

    Attributes:
        named: the fields that it names, in canonical form. They are stored, logged and shown: of a secret, they must
            have no more than a hash.
        body: all of it, for who declares it.
    """

    name: str
    named: Fields
    body: Any


Table = Mapping[str, Any]
"""A table as TOML has it."""
ReadEntry = Callable[[Table], Entry]
"""Makes an entry of a table. Raises: ValueError: names the field that is wrong, and what is expected."""


def read_rule(table: Table) -> Entry:
    """A table of the section `rule`. Raises: ValueError."""
    body = msgspec.convert(table, NamedRuleBody)
    rule = rule_of(body.name, body)
    fields = declared_fields(rule)
    return Entry(rule.name, {name: fields[name] for name in table if name != "name"}, body)


def read_receiver(table: Table, *, hide: Callable[[str], str]) -> Entry:
    """A table of the section `receiver`. Args: hide: what stands in place of a secret. Raises: ValueError."""
    body = msgspec.convert(table, NamedReceiverBody)
    receiver = receiver_of(body.name, body)
    fields = receiver_fields(receiver, hide=hide)
    return Entry(receiver.name, {name: fields[name] for name in table if name != "name"}, receiver)


def read_route(table: Table) -> Entry:
    """A table of the section `route`. Raises: ValueError."""
    body = msgspec.convert(table, NamedRouteBody)
    route = route_of(body.name, body)
    fields = route_fields(route)
    return Entry(route.name, {name: fields[name] for name in table if name != "name"}, route)


def read_alerts(path: Path, sections: Mapping[str, ReadEntry]) -> dict[str, list[Entry]]:
    """The entries of the file by section. Raises: AlertsFileError: says what is wrong and where."""
    try:
        content = read_whole(path).removeprefix(BOM)
        if len(content) > FILE_BYTES_MAX:
            raise AlertsFileError(f"{path} is larger than {FILE_BYTES_MAX} bytes. Shorten it.")
        document = tomllib.loads(content.decode())
    except FileNotFoundError as error:
        raise AlertsFileError(f"{path} does not exist. Write it, or name another file with --alerts.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise AlertsFileError(f"{path}: {error or 'it is nested too deeply'}. Expected TOML in UTF-8.") from error
    return {section: _entries(path, section, tables, sections) for section, tables in document.items()}


def _entries(path: Path, section: str, tables: Any, sections: Mapping[str, ReadEntry]) -> list[Entry]:
    known = ", ".join(f"[[{name}]]" for name in sections)
    if section not in sections:
        raise AlertsFileError(f"{path}: it has `{section[:64]}`, which is unknown. Expected are {known}.")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise AlertsFileError(f"{path}: `{section}` is a list of tables. Begin each with [[{section}]].")
    found: dict[str, Entry] = {}
    for number, table in enumerate(tables, 1):
        name = str(table.get("name", ""))[:64]
        place = f"{path}, [[{section}]] {number}{f' ({name})' if name else ''}"
        try:
            entry = sections[section](table)
        except (ValueError, RecursionError) as error:
            raise AlertsFileError(f"{place}: {error}.") from error
        if entry.name in found:
            raise AlertsFileError(f"{place}: this {section} is declared twice. Remove one of them.")
        found[entry.name] = entry
    return list(found.values())
