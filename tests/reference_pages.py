"""The pages of docs/reference that are derived from the code; as a command, writes them (`make reference`)."""

from pathlib import Path

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


if __name__ == "__main__":
    (REFERENCE / "settings.md").write_text(settings_page())
