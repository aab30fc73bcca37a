"""`fleetpulse keys`: who may do what, by keys."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from msgspec import UNSET

from fleetpulse.cli.client import Query, segment
from fleetpulse.cli.device_pages import join_pages
from fleetpulse.cli.flags import Address, Duration, Ids, Labels, Service, Time, Whole, action, one_of
from fleetpulse.cli.output_file import Output
from fleetpulse.cli.tables import Cell, Part, Table, facts_of, known, left, right, table_of, time_cell
from fleetpulse.errors import SettingsError
from fleetpulse.query.key_answers import Key, KeyList, MadeKey

KEYS = "/api/v1/keys"
PAGE = 1_000
UNTIL = one_of("Until when")
HOW_MANY = one_of("How many")
RoleFlag = Annotated[Literal["device", "ingest", "read", "operate", "admin", "scrape"], Parameter(name="--role")]
KeyNumber = Annotated[str, Parameter(name="NUMBER", help="Number of the key, from `keys list`.")]
app = App(name="keys")


@action(
    app,
    "fleetpulse keys add --role device --device press-07",
    "fleetpulse keys add --role read --scope site:paris --expires-in 90d --description 'dashboard of Paris'",
)
def add(
    *,
    role: RoleFlag,
    device: Annotated[str | None, Parameter(metavar="ID")] = None,
    scope: Labels = (),
    description: Annotated[str, Parameter(metavar="TEXT")] = "",
    expires_at: Annotated[Time, Parameter(group=UNTIL)] = None,
    expires_in: Annotated[Duration, Parameter(group=UNTIL)] = None,
    yes: bool = False,
    output: Output = Output(),
    service: Service = Service(),
) -> None:
    """Make a key, and show it, this once only; or write it to a file, which only you can read.

    From the first key on, every request needs one, on loopback too, and devices without a key are refused.

    Args:
        role: What it is for: device (reports as itself), ingest (reports for others), read, operate, admin, or scrape.
        device: The device whose key it is, for the role device.
        scope: Only devices with this label; may be repeated.
        description: What or who has it, for people.
        expires_at: Until this time, RFC 3339.
        expires_in: For this long, such as 90d.
        yes: Make the first key, from which on devices without one are refused.
    """
    body = {
        "role": role,
        "device_id": device,
        "scope": list(scope),
        "description": description,
        "expires_at": expires_at,
        "expires_in": expires_in,
    }
    _make(KEYS, [("confirm", yes or None)], body, output, service)


def _make(path: str, query: Query, body: object, output: Output, service: Service) -> None:
    """Make a key, and show it, or write it to a file."""
    output.check()
    with service.client() as client:
        answer = client.send("POST", path, query, body)
    made = answer.into(MadeKey)
    if output.path is None:
        service.show(answer, MadeKey, _made_key_parts)
        return
    write_secret(output, f"{made.key}\n".encode())
    print(f"key {made.number} is in {output.path}, and nowhere else.")


def write_secret(output: Output, body: bytes) -> None:
    """Write a file that only its owner can read. Raises: SettingsError: it cannot be written."""
    os.umask(0o077)
    output.write(body)


def _made_key_parts(made: MadeKey) -> list[Part]:
    return [_facts(made, ("key", made.key)), "\nThis is the only time that the key is shown: keep it now."]


def _facts(key: Key, *more: tuple[str, Cell]) -> Table:
    """All that is known of a key."""
    return facts_of(
        [
            ("number", str(key.number)),
            ("role", key.role),
            ("device", known(key.device_id) or ""),
            ("scope", " ".join(key.scope) or ("" if key.role in ("device", "scrape") else "every device")),
            ("description", key.description),
            ("created", f"{time_cell(key.created_at)}{f' by {key.created_by}' if key.created_by else ''}"),
            ("expires", time_cell(key.expires_at) or "never"),
            ("last used", time_cell(key.last_used_at) or "never"),
            *(
                [("revoked", f"{time_cell(known(key.revoked_at))} by {known(key.revoked_by)}")]
                if _is_revoked(key)
                else []
            ),
            *more,
        ]
    )


def _is_revoked(key: Key) -> bool:
    return key.revoked_at is not UNSET


@action(app, "fleetpulse keys list --role admin", "fleetpulse keys list --device press-07 --include-revoked")
def list_(
    *,
    role: Annotated[str | None, Parameter(metavar="ROLE")] = None,
    device: Ids = (),
    include_revoked: bool = False,
    limit: Annotated[Whole, Parameter(group=HOW_MANY)] = 100,
    all_: Annotated[bool, Parameter(name="--all", group=HOW_MANY)] = False,
    service: Service = Service(),
) -> None:
    """List keys by number, without their secrets.

    Args:
        role: Only keys of this role.
        device: Only keys of this device; may be repeated.
        include_revoked: Revoked keys too.
        limit: Show at most this many keys.
        all_: Show all keys that match.
    """
    if limit < 1:
        raise SettingsError("--limit must be at least 1; or give --all.")
    query: list[tuple[str, Any]] = [
        ("role", role),
        *[("device_id", name) for name in device],
        ("include_revoked", include_revoked or None),
    ]
    with service.client() as client:
        answer = join_pages(client, KEYS, query, limit=None if all_ else limit, page_max=PAGE, field="keys")
    service.show(answer, KeyList, _list_parts)


def _list_parts(listed: KeyList) -> list[Part]:
    columns = [right("number"), *map(left, ("role", "device or scope", "last used", "expires", "description"))]
    hint = "; --limit N or --all shows more" if listed.next_cursor else ""
    return [table_of(columns, [_row(key) for key in listed.keys]), f"{len(listed.keys)} shown{hint}."]


def _row(key: Key) -> Sequence[Cell]:
    end = f"revoked {time_cell(known(key.revoked_at))}" if _is_revoked(key) else time_cell(key.expires_at) or "never"
    whose = known(key.device_id) or " ".join(key.scope)
    return [str(key.number), key.role, whose, time_cell(key.last_used_at) or "never", end, key.description]


@action(app, "fleetpulse keys show 17")
def show(number: KeyNumber, /, *, service: Service = Service()) -> None:
    """Show one key, without its secret."""
    service.ask(f"{KEYS}/{segment(number)}", shape=Key, parts=lambda key: [_facts(key)])


@action(app, "fleetpulse keys rotate 17 --overlap 7d -o press-07.key")
def rotate(
    number: KeyNumber, /, *, overlap: Duration = None, output: Output = Output(), service: Service = Service()
) -> None:
    """Make a key like another one, which is good for a while yet, so that there is time to bring the new one.

    Args:
        overlap: How long the old key is good yet (default: 24h); 0s ends it now.
    """
    body = None if overlap is None else {"overlap": overlap}
    _make(f"{KEYS}/{segment(number)}/rotate", [], body, output, service)


@action(app, "fleetpulse keys bulk devices.csv --overlap 7d -o keys.csv")
def bulk(
    file: Annotated[Path, Parameter(name="FILE.csv")],
    /,
    *,
    description: Annotated[str, Parameter(metavar="TEXT")] = "",
    expires_in: Duration = None,
    overlap: Duration = None,
    yes: bool = False,
    output: Output = Output(),
    address: Address = Address(),
) -> None:
    """Make a key for each device of a CSV, whose first column is device_id; write ids and keys as CSV.

    If one of the devices is not known, no key is made.

    Args:
        file: The CSV, UTF-8, such as devices.csv; only its first column counts.
        description: Of all keys, for people.
        expires_in: How long the keys are good, such as 365d.
        overlap: How long keys are good yet that the devices have already; without it these stay as they are.
        yes: Make the first keys, from which on devices without one are refused.
    """
    output.check()
    try:
        body = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}. Name another file.") from error
    query = [
        ("description", description or None),
        ("expires_in", expires_in),
        ("overlap", overlap),
        ("confirm", yes or None),
    ]
    with address.client() as client:
        made = client.send("POST", f"{KEYS}.csv", query, body, content_type="text/csv; charset=utf-8").raw
    write_secret(output, made)


@action(app, "fleetpulse keys recover --data /var/lib/fleetpulse")
def recover(
    *,
    data: Annotated[Path, Parameter(metavar="FOLDER")] = Path("data"),
    catalog: Annotated[str, Parameter(metavar="URL")] = "",
) -> None:
    """Make another admin key where all are lost, for who owns the machine; a single service must be stopped.

    It is written to admin.key in the folder. Revoke the lost ones with it.

    Args:
        data: Data folder of a service that is stopped; of several nodes, any folder for the file.
        catalog: Catalog of several nodes, which may run meanwhile, with a password also by FLEETPULSE_CATALOG_FILE.
    """
    # The other actions are clients, which need not load SQLite.
    from fleetpulse.cli.key_recovery import recover as make

    number, path = make(data, catalog)
    print(
        f"key {number} is in {path}. Start the service if it is stopped, and revoke the lost keys, which "
        "`fleetpulse keys list --role admin` lists."
    )


@action(app, "fleetpulse keys revoke 17")
def revoke(number: KeyNumber, /, *, service: Service = Service()) -> None:
    """Revoke a key: it is refused from now on, for good."""
    service.ask(f"{KEYS}/{segment(number)}", method="DELETE", shape=Key, parts=lambda key: [_facts(key)])
