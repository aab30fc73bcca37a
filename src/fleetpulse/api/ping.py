"""Heartbeats of devices that have neither a clock nor a body to send: cron's curl, `wget --spider`, watchdogs.

GET may change nothing that matters, but here it does: so a browser must not be led to it by a web page.
"""

from functools import partial
from http import HTTPStatus

from litestar.datastructures import Headers

from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.parameters import DeviceIdPath
from fleetpulse.api.request_body import whole_body
from fleetpulse.api.routes import route
from fleetpulse.errors import Answerable, Malformed, WebPage
from fleetpulse.pipeline.reception import Reception

_PREFETCH = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_ping = partial(
    route, group="ingest", refusals=(403, 404), status=HTTPStatus.NO_CONTENT, headers={b"cache-control": b"no-store"}
)


@_ping(
    "GET /api/v1/devices/{device_id:str}/ping", operation="ping", permission="report", scope="device", limit="device"
)
async def get_ping(request: AnyRequest, device_id: DeviceIdPath, reception: Reception) -> None:
    """Report that a device is alive now, by the service's clock; HEAD and POST do the same.

    It is a heartbeat for devices without a clock. What a web page asks for is refused.
    """
    await _take(request, device_id, reception)


@_ping(
    "POST /api/v1/devices/{device_id:str}/ping",
    operation="postPing",
    permission="report",
    scope="device",
    limit="device",
)
async def post_ping(request: AnyRequest, device_id: DeviceIdPath, reception: Reception) -> None:
    """Report that a device is alive now, by the service's clock; without a body."""
    await _take(request, device_id, reception)


async def _take(request: AnyRequest, device_id: str, reception: Reception) -> None:
    body = await whole_body(request)
    try:
        check_no_web_page(request.headers)
        if body.strip() not in (b"", b"{}"):
            raise Malformed("a ping has no body; to report a time of the device's own, use the route `heartbeat`")
    except Answerable as error:
        reception.refuse_request(error)
        raise
    await reception.ping(device_id)


def check_no_web_page(headers: Headers) -> None:
    """Refuse what a browser sends on behalf of a web page, or ahead of time. Raises: WebPage."""
    site = headers.get("sec-fetch-site", "none").strip().lower()
    referer, host = headers.get("referer", ""), headers.get("host", "")
    # Over plain HTTP browsers send no Sec-Fetch-Site, and for an image no Origin either, but the page's own address.
    is_of_other_page = bool(referer) and not referer.lower().startswith(
        (f"http://{host.lower()}/", f"https://{host.lower()}/")
    )
    if "origin" in headers or site not in ("none", "same-origin") or is_of_other_page:
        raise WebPage("a web page must not report for a device: send the ping from the device itself")
    if any(
        word in headers.get(name, "").lower() for name in _PREFETCH for word in ("prefetch", "prerender", "preview")
    ):
        raise WebPage("a browser that loads a page ahead of time must not report for a device")
