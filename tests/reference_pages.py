"""The pages of docs/reference that are derived from the code; as a command, writes them (`make reference`)."""

import functools
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App

from fleetpulse.cli.main import COMMANDS, app
from fleetpulse.settings import GROUPS, Entry, entries

REFERENCE = Path(__file__).parent.parent / "docs/reference"
SETTINGS_HEAD = """\
# Settings

Each is a flag of `fleetpulse serve` (`--body-bytes-max`), an environment variable (`FLEETPULSE_BODY_BYTES_MAX`) and a \
line of a TOML file (`body_bytes_max = 65536`, named with `--config` or `FLEETPULSE_CONFIG`).
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


COMMANDS_BEGIN, COMMANDS_END = "<!-- made by `make reference` -->\n", "<!-- end -->\n"


def commands_page(page: str) -> str:
    """docs/reference/commands.md: what is written there by hand, with a table of all commands and their flags."""
    head, _, rest = page.partition(COMMANDS_BEGIN)
    lines = ["| command | what it does | flags |", "|---|---|---|", *_command_rows(), ""]
    return head + COMMANDS_BEGIN + "\n".join(lines) + COMMANDS_END + rest.partition(COMMANDS_END)[2]


def _command_rows() -> Iterator[str]:
    for name in [*COMMANDS, "completion", "version"]:
        actions = sorted(action for action in app[name] if not action.startswith("-"))
        for chain in [[name], *([name, action] for action in actions)]:
            yield f"| `fleetpulse {' '.join(chain)}` | {_command(chain).help.splitlines()[0]} | {_flags(chain)} |"


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
