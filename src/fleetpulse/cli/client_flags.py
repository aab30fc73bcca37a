"""What the client commands share: their flags, and how these become the parameters of a question."""

import argparse
import os
import textwrap
from collections.abc import Callable
from typing import Any

from fleetpulse.model.status import STATUSES

URL_DEFAULT = "http://127.0.0.1:6733"
URL_VARIABLE = "FLEETPULSE_URL"
NONE = "none"
"""What a flag says to take a value away."""
Run = Callable[[argparse.Namespace], int | None]
Pairs = list[tuple[str, object]]


def add_group(commands: Any, name: str, *, text: str) -> Any:
    """Declare a command that has actions; what the actions are added to."""
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    return parser.add_subparsers(required=True, metavar="ACTION")


def add_action(
    actions: Any, name: str, run: Run, *, text: str, example: str, more: str = "", has_json: bool = True
) -> Any:
    """Declare an action: what it does in one line, an example, what else is to be known."""
    description = textwrap.fill(f"{text[0].upper()}{text[1:]}. {more}".strip(), 100).replace("%", "%%")
    parser = actions.add_parser(
        name,
        help=text.replace("%", "%%"),
        description=description,
        epilog=f"example:\n  {example}".replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    url = os.environ.get(URL_VARIABLE) or URL_DEFAULT
    parser.add_argument("--url", default=url, help=f"the service (default: {URL_VARIABLE}, else {URL_DEFAULT})")
    if has_json:
        parser.add_argument("--json", action="store_true", help="print the service's own answer, as JSON")
    parser.set_defaults(run=run)
    return parser


def label(text: str) -> tuple[str, str]:
    """The name and value of `name:value`. Raises: argparse.ArgumentTypeError."""
    name, _, value = text.partition(":")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"must be name:value such as site:paris, not `{text}`")
    return name, value


def add_labels(parser: Any, text: str, *, flag: str = "--label") -> None:
    """Declare a flag of name:value that may be repeated."""
    parser.add_argument(
        flag, type=label, action="append", default=[], metavar="NAME:VALUE", help=f"{text}; may be repeated"
    )


def label_query(chosen: argparse.Namespace) -> Pairs:
    """The parameters `label`."""
    return [("label", f"{name}:{value}") for name, value in chosen.label]


def add_window(parser: Any, *, default: str, has_step: bool = True) -> None:
    """Declare the flags of a window of time."""
    parser.add_argument("--window", metavar="DURATION", help=f"the time until now: 90s, 1h, 30d (default: {default})")
    parser.add_argument(
        "--from", dest="start", metavar="TIME", help="or from this time on, RFC 3339, such as 2026-11-24T08:30:00Z"
    )
    parser.add_argument("--to", dest="end", metavar="TIME", help="and until before this time (default: now)")
    if has_step:
        parser.add_argument("--step", metavar="DURATION", help="a series in steps of this length")


def window_query(chosen: argparse.Namespace, *, default: str) -> Pairs:
    """The parameters `window`, or `from` and `to`, and `step`."""
    window = chosen.window or (None if chosen.start or chosen.end else default)
    return [("window", window), ("from", chosen.start), ("to", chosen.end), ("step", getattr(chosen, "step", None))]


def add_filters(parser: Any) -> None:
    """Declare the flags that say which devices."""
    which = parser.add_argument_group("which devices (all that match everything that is given)")
    which.add_argument("--status", metavar="STATUS,…", help=f"of {', '.join(STATUSES)}")
    add_labels(which, "that have this label")
    which.add_argument("--text", help="part of the id, or of a label's value")
    which.add_argument("--seen-before", metavar="TIME", help="last heard before this time, RFC 3339")
    which.add_argument("--seen-after", metavar="TIME", help="last heard at this time or later")
    which.add_argument("--uptime-below", metavar="PERCENT", help="with an uptime below this")
    which.add_argument("--uptime-window", metavar="DURATION", help="over this time until now (default: 24h)")


def filter_query(chosen: argparse.Namespace) -> Pairs:
    """The parameters of the flags of `add_filters`."""
    names = ("status", "text", "seen_before", "seen_after", "uptime_below", "uptime_window")
    return [*((name, getattr(chosen, name)) for name in names), *label_query(chosen)]
