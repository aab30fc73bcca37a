"""Badges: the health of a device, of a label or of the fleet, as an image and as JSON."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter

from fleetpulse.access.key_text import BADGE_TOKEN_PATTERN
from fleetpulse.api.admission import principal_of
from fleetpulse.api.badge_image import badge_svg
from fleetpulse.api.parameters import DeviceIdPath, query_parameter, read_labels
from fleetpulse.api.routes import Media, note_header, route
from fleetpulse.errors import NotFound, OutOfRange
from fleetpulse.ingest.badge_declarations import NewBadge
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.badges import Badges
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.badge_answers import BadgeList, MadeBadge
from fleetpulse.query.badges import Badge
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.fleet import Labels
from fleetpulse.query.notes import selection_notes

NUMBER_CHARS_MAX = 18
FORMATS = ("svg", "json")
_MEDIA = (
    Media("image/svg+xml", "an image with two halves", example='<svg xmlns="http://www.w3.org/2000/svg"/>'),
    Media(
        "application/json",
        "what shields.io reads as an endpoint",
        kind="object",
        example='{"schemaVersion": 1, "label": "press-07", "message": "up", "color": "brightgreen"}',
    ),
)
_SVG = {"content-type": "image/svg+xml"}
TokenPath = Annotated[
    str, PathParameter(description="token of a badge", schema_extra={"pattern": f"^{BADGE_TOKEN_PATTERN}$"})
]
BadgeNumberPath = Annotated[
    str,
    PathParameter(description="number of a badge", schema_extra={"pattern": "^[1-9][0-9]{0,18}$", "examples": ["3"]}),
]


def read_format(
    format: Annotated[  # noqa: A002  # it is named so in the query
        str,
        query_parameter("an image, or JSON for programs", enum=list(FORMATS), default="svg", type=OpenAPIType.STRING),
    ] = "svg",
) -> str:
    """The form of a badge. Raises: OutOfRange."""
    if format not in FORMATS:
        raise OutOfRange(f"`format` must be one of {', '.join(FORMATS)}, not `{format[:50]}`", reason="format")
    return format


def _answer(badge: Badge, form: str, notes: Sequence[str] = ()) -> Response[bytes]:
    if form == "svg":
        return Response(badge_svg(badge), headers={**_SVG, **note_header(notes)})
    body = {"schemaVersion": 1, "label": badge.label, "message": badge.message, "color": badge.colour}
    return Response(msgspec.json.encode(body), headers={"content-type": "application/json", **note_header(notes)})


@route(
    "GET /api/v1/devices/{device_id:str}/badge",
    group="questions",
    operation="getDeviceBadge",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404, 422),
    media=_MEDIA,
    readers={"form": read_format},
)
async def get_device_badge(*, badges: Badges, device_id: DeviceIdPath, form: str) -> Response[bytes]:
    """The status of a device as a badge."""
    return _answer(await badges.of_device(device_id), form)


@route(
    "GET /api/v1/fleet/badge",
    group="questions",
    operation="getFleetBadge",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    media=_MEDIA,
    readers={"labels": read_labels, "form": read_format},
)
async def get_fleet_badge(*, badges: Badges, registry: Registry, labels: Labels, form: str) -> Response[bytes]:
    """How many devices are down, of those with all given labels, as a badge."""
    found = await badges.of_labels(tuple(labels))
    return _answer(found, form, selection_notes(registry.seen_roster, labels))


@route(
    "GET /badge/{token:str}",
    group="questions",
    operation="getBadge",
    permission="open",
    scope="none",
    limit="key",
    refusals=(404, 422),
    media=_MEDIA,
    readers={"form": read_format},
)
async def get_badge(*, badges: Badges, token: TokenPath, form: str) -> Response[bytes]:
    """The one badge that a token shows, to everybody who knows the token, until it is revoked."""
    return _answer(await badges.shown(token), form)


@route("GET /api/v1/badges", group="access", operation="listBadges", permission="admin", scope="whole", limit="key")
async def get_badges(badges: Badges) -> BadgeList:
    """List the badges that have tokens."""
    found = list(await badges.list())
    return BadgeList(found, len(found))


@route(
    "POST /api/v1/badges",
    group="access",
    operation="makeBadge",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
    status=HTTPStatus.CREATED,
    readers={"principal": principal_of},
)
async def post_badge(badges: Badges, principal: Principal | None, payload: NewBadge) -> MadeBadge:
    """Make a badge with a token of its own; the token is in this answer only."""
    return await badges.make(payload, principal=principal)


@route(
    "DELETE /api/v1/badges/{badge:str}",
    group="access",
    operation="revokeBadge",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def delete_badge(badges: Badges, badge: BadgeNumberPath) -> Message:
    """Revoke the token of a badge: it shows nothing from now on."""
    if not (badge.isascii() and badge.isdigit() and len(badge) <= NUMBER_CHARS_MAX):
        raise NotFound(f"`{badge[:50]}` is no number of a badge", reason="badge")
    await badges.revoke(int(badge))
    return Message(f"badge {int(badge)} is revoked")
