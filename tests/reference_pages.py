"""The pages of docs/reference that are derived from the code; as a command, writes them (`make reference`)."""

import functools
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App

from fleetpulse.access.roles import PERMISSIONS, ROLES
from fleetpulse.api.app import ROUTES
from fleetpulse.cli.main import COMMANDS, app
from fleetpulse.settings import GROUPS, Entry, entries
from fleetpulse.telemetry import families

REFERENCE = Path(__file__).parent.parent / "docs/reference"
SETTINGS_HEAD = """\
# Settings

Each is a flag of `fleetpulse serve` (`--body-bytes-max`), an environment variable (`FLEETPULSE_BODY_BYTES_MAX`) and a \
line of a TOML file (`body_bytes_max = 65536`, named with `--config` or `FLEETPULSE_CONFIG`).
A variable `FLEETPULSE_NAME_FILE` names a file that has the value, as container engines and systemd hand secrets over.
The flag wins over the environment, the environment over the file; unknown names are refused.
A setting that is on or off is turned off by `--no-…`, as in `--no-auto-define`, or by `false`.

This page is made from `src/fleetpulse/settings.py` and `limits.py` by `make reference`.
"""


def settings_page() -> str:
    """docs/reference/settings.md: a table a group."""
    lines = [SETTINGS_HEAD]
    for group in GROUPS:
        lines += [f"## {(group.__doc__ or '').rstrip('.')}\n", "| name | default | unit | range | what it is |"]
        lines += ["|---|---|---|---|---|", *(_row(entry) for entry in entries(group)), ""]
    return "\n".join(lines)


def _row(entry: Entry) -> str:
    default = str(entry.default).lower() if entry.kind is bool else entry.default
    cells = [f"`{entry.name}`", "(empty)" if default == "" else f"`{default}`", entry.about.unit, entry.range_text]
    former = f" Its former name `{entry.about.former_name}` stays valid." if entry.about.former_name else ""
    return f"| {' | '.join([*cells, entry.about.text + former])} |"


ACCESS_HEAD = """\
# Who may do what

On a protected node every request shows who asks: by a key, the token of a person or of an issuer, a session, or a \
client certificate.
Each of them has one role, and perhaps a scope.
[Give a part of the fleet to somebody](../howto/scopes.md) says how scopes are used.

This page is made from the declarations of the routes by `make reference`; a test tries every route with every role, \
inside and outside a scope, and with every kind of key that is none.

## Roles

"""
SCOPES_HEAD = """
## Routes

What a route does with a scope:

| scope | a key that has one |
|---|---|
| `device` | gets 404 for a device outside, as for one that there is not |
| `labels` | is told of, and changes, the devices of the scope only |
| `none` | is answered as any other, since nothing about devices is in the answer |
| `whole` | is refused (403), since the route concerns all devices |

A route has the [rate limit](../howto/rate-limits.md) of the device, of the key, of sign-ins, or none.

| method | route | roles | scope | limit |
|---|---|---|---|---|
"""


def access_page() -> str:
    """docs/reference/access.md: which role may use which route, and on which devices."""
    names = list(PERMISSIONS)
    lines = [f"| role | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for role in ROLES:
        marks = ("yes" if role in PERMISSIONS[name] else "" for name in names)
        lines.append(f"| `{role}` | {' | '.join(marks)} |")
    rows = []
    for route in sorted(ROUTES, key=lambda one: (one.path, one.method)):
        permission, scope, limit = route.facts.access
        allowed = ", ".join(role for role in ROLES if role in PERMISSIONS[permission])
        who = "everybody, without a key" if permission == "open" else f"`{permission}`: {allowed}"
        rows.append(f"| {route.method} | `{route.path.replace(':str', '')}` | {who} | {scope} | {limit} |")
    return ACCESS_HEAD + "\n".join(lines) + "\n" + SCOPES_HEAD + "\n".join(rows) + "\n"


METRICS_HEAD = """\
# The service's own metrics

What `/metrics` shows, in the conventions of Prometheus: base units, \
counters that begin at 0 with the process, and histograms.
[Telemetry](telemetry.md) says what exactly is counted and how the counters reconcile, and \
[Monitor the service](../howto/monitor-the-service.md) how to watch them.

This page is made from `src/fleetpulse/telemetry/families.py` by `make reference`.
"""


def metrics_page() -> str:
    """docs/reference/metrics.md: a table for each group of the service's own metrics."""
    lines = [METRICS_HEAD]
    for title, group in families.GROUPS.items():
        lines += [f"## {title}\n", "| name | type | labels | what it is |", "|---|---|---|---|"]
        for name, family in group.items():
            labels = ", ".join(f"`{label}`" for label in family.labels)
            lines.append(f"| `{name}` | {family.kind} | {labels} | {family.text} |")
        lines.append("")
    return "\n".join(lines)


COMMANDS_BEGIN, COMMANDS_END = "<!-- made by `make reference` -->\n", "<!-- end -->\n"


def commands_page(page: str) -> str:
    """docs/reference/commands.md: what is written there by hand, with a table of all commands and their flags."""
    head, _, rest = page.partition(COMMANDS_BEGIN)
    lines = ["| command | what it does | flags |", "|---|---|---|", *_command_rows(), ""]
    return head + COMMANDS_BEGIN + "\n".join(lines) + COMMANDS_END + rest.partition(COMMANDS_END)[2]


def _command_rows() -> Iterator[str]:
    for name in [*COMMANDS, "completion", "version"]:
        for chain in _chains([name]):
            yield f"| `fleetpulse {' '.join(chain)}` | {_command(chain).help.splitlines()[0]} | {_flags(chain)} |"


def _chains(chain: list[str]) -> Iterator[list[str]]:
    """A command, and the actions within it."""
    yield chain
    for action in sorted(action for action in _command(chain) if not action.startswith("-")):
        yield from _chains([*chain, action])


def _command(chain: list[str]) -> App:
    return functools.reduce(App.__getitem__, chain, app)


def _flags(chain: list[str]) -> str:
    if chain == ["serve"]:
        return "`--config`, and the [settings](settings.md)"
    if not _command(chain).default_command:
        return ""
    with app.app_stack(chain):
        arguments = _command(chain).assemble_argument_collection()
    names = [" ".join(argument.names) for argument in arguments if argument.index is None and argument.names != ("*",)]
    return " ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    (REFERENCE / "commands.md").write_text(commands_page((REFERENCE / "commands.md").read_text()))
    (REFERENCE / "settings.md").write_text(settings_page())
    (REFERENCE / "access.md").write_text(access_page())
    (REFERENCE / "metrics.md").write_text(metrics_page())
