"""What is at `/`: a sign of life for programs, and for browsers a page that shows the fleet in a few words.

The page has no scripts and loads nothing, so that it works wherever the service does.
"""

from html import escape
from typing import Any
from urllib.parse import quote

from litestar import Response

from fleetpulse import __version__
from fleetpulse.access.gate import Gate
from fleetpulse.access.roles import PERMISSIONS
from fleetpulse.api.admission import principal_of
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.routes import Media, route
from fleetpulse.api.sign_in_page import PAGE_HEADERS, who_text
from fleetpulse.ingest.accept import prefers_html
from fleetpulse.model.access import Principal
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.count import count_text
from fleetpulse.notation.duration import length_text
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query.overview import Overview

NO_FIGURES = "Figures are shown to those who may read them: this service is protected by keys."
DOWN_MAX = 50
"""Devices that are down on the page; it says how many more there are."""


@route(
    "GET /",
    group="service",
    operation="root",
    permission="open",
    scope="none",
    limit="key",
    media=(
        Media("application/json", 'the text "OK."', example="OK."),
        Media("text/html", "for browsers: the fleet in a few words", example="<!doctype html>"),
    ),
    headers={b"vary": b"Accept"},
    readers={"principal": principal_of},
)
async def get_root(
    request: AnyRequest, principal: Principal | None, gate: Gate, readiness: Readiness, inventory: Inventory
) -> Response[bytes]:
    """Show a sign of life; a browser gets a page with the fleet in a few words."""
    if not prefers_html(", ".join(request.headers.getall("accept", []))):
        return Response(b'"OK."', media_type="application/json")
    refusal = readiness.refusal
    may_read = principal is not None and principal.role in PERMISSIONS["read"]
    fleet = await inventory.overview(limit=DOWN_MAX) if readiness.answers and may_read else None
    page = front_page(
        fleet,
        why_not_ready="" if refusal is None else refusal.msg,
        may_read=may_read,
        who=who_text(principal) if gate.is_protected else "",
        warning=gate.warning,
    )
    headers: dict[str, Any] = dict(PAGE_HEADERS)
    return Response(page.encode(), headers=headers)


def front_page(
    fleet: Overview | None, *, why_not_ready: str = "", may_read: bool = True, who: str = "", warning: str = ""
) -> str:
    """The page.

    Args:
        fleet: None where it is not known yet, or whoever asks may not see it.
        why_not_ready: why no events are accepted.
        may_read: whether whoever asks may see figures.
        warning: what everybody should know who sees the page.
        who: HTML that says who is signed in, or lets people sign in.
    """
    parts = [f"<p><strong>Beware:</strong> {escape(warning)}"] if warning else []
    if why_not_ready:
        parts.append(f"<p><strong>No events are accepted:</strong> {escape(why_not_ready)}")
    if not may_read:
        parts.append(f"<p>{NO_FIGURES}")
    parts.append(who)
    if fleet is not None:
        counts = [f"<tr><td>{escape(name)}<td class=n>{count}" for name, count in fleet.by_status.items() if count]
        total = sum(fleet.by_status.values())
        devices = count_text(total, "device") if total else "No device is declared yet: see the interface below."
        parts += [f"<h2>{devices}</h2><table>{''.join(counts)}</table>", _down_text(fleet)]
    return _PAGE.format(version=escape(__version__), parts="".join(parts))


def _down_text(fleet: Overview) -> str:
    total = fleet.by_status.get("down", 0)
    if not total:
        return "<h2>No device is down</h2>"
    rows = [
        f"<tr><td><a href='/api/v1/devices/{quote(device_id, safe='')}'>{escape(device_id)}</a>"
        f"<td>since {format_rfc3339(since_ns // NS_PER_S * NS_PER_S)}"
        f"<td>for {length_text((fleet.now_ns - since_ns) // NS_PER_S)}"
        for device_id, since_ns in fleet.down
    ]
    hidden = total - len(rows)
    more = f"<p><a href='/api/v1/devices?status=down'>and {hidden} more</a>" if hidden else ""
    return f"<h2>{count_text(total, 'device')} down</h2><table>{''.join(rows)}</table>{more}"


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="60"><title>fleetpulse</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
td{{padding:.15rem 1rem .15rem 0}} .n{{text-align:right}} h2{{font-size:1.2rem;margin-top:2rem}}
</style><h1>fleetpulse</h1>{parts}
<h2>More</h2><ul><li><a href="/docs">/docs</a>: this interface for people, <a href="/openapi.json">/openapi.json</a> for
programs<li><a href="/api/v1/devices">devices</a>, <a href="/api/v1/fleet/stats">the fleet at a glance</a>,
<a href="/metrics">counters of the service</a>
<li>on the command line <code>fleetpulse --help</code>; the documentation is in the folder <code>docs</code> of the
source of version {version}, and begins with <code>docs/README.md</code></ul></html>"""
