"""Answers about badges; no token is in any but the one that hands a new one out."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from fleetpulse.model.badge import BadgeRecord
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, DeviceId, Labels, Time


class BadgeEntry(Struct, kw_only=True):
    """A badge that has a token, without the token."""

    number: Annotated[int, Meta(description="never given to another badge", examples=[3])]
    device_id: Annotated[DeviceId | None, Meta(description="the device that it is about")]
    labels: Annotated[Labels, Meta(description="without a device: it is about the devices with all of these labels")]
    description: Annotated[str, Meta(examples=["wiki page of hall 2"])]
    created_at: Time
    created_by: Annotated[str, Meta(examples=["key 1"])]


class MadeBadge(BadgeEntry, kw_only=True):
    """A badge that was just made; only this answer has its token."""

    token: Annotated[
        str,
        Meta(
            description="what shows this badge and nothing else, without a key",
            examples=["fp_badge_3_0123456789abcdefghijklmnopq5Gk2Lx"],
        ),
    ]
    path: Annotated[
        str,
        Meta(
            description="where it is shown; `?format=json` for programs",
            examples=["/badge/fp_badge_3_0123456789abcdefghijklmnopq5Gk2Lx"],
        ),
    ]


class BadgeList(Struct):
    """All badges that have tokens, by number."""

    badges: list[BadgeEntry]
    total: Count


def describe_badge(badge: BadgeRecord, device_id: str | None) -> BadgeEntry:
    """A badge. Args: device_id: of the device that it is about."""
    return BadgeEntry(**_facts(badge, device_id))


def describe_made_badge(badge: BadgeRecord, device_id: str | None, token: str) -> MadeBadge:
    """A badge that was just made, with its token."""
    return MadeBadge(**_facts(badge, device_id), token=token, path=f"/badge/{token}")


def _facts(badge: BadgeRecord, device_id: str | None) -> dict[str, Any]:
    return {
        "number": badge.number,
        "device_id": device_id,
        "labels": dict(badge.labels),
        "description": badge.description,
        "created_at": format_rfc3339(badge.created_at_ns),
        "created_by": badge.created_by,
    }
