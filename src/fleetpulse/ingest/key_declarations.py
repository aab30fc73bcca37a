"""Keys as people ask for them over HTTP: JSON bodies become checked wishes."""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.calendar import declared_time_ns
from fleetpulse.ingest.device_declarations import DurationText, TimeText
from fleetpulse.ingest.scope_declarations import ScopeTexts, read_scope
from fleetpulse.model.access import Role, Scope
from fleetpulse.model.device import NOTE_CHARS_MAX
from fleetpulse.model.maintenance import TIME_HIGHEST_NS
from fleetpulse.model.text import check_text
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import DURATION_EXPECTED, UnitMissing, parse_length

KeyRole = Literal["device", "ingest", "read", "operate", "admin", "scrape"]
"""The roles of keys that people make one by one; enrolment keys are made by routes of their own."""
WITHOUT_SCOPE = ("device", "scrape")
OVERLAP = "24h"
"""How long the old key is good for after a rotation, where nothing else is asked for."""
Description = Annotated[
    str, Meta(description="for people", examples=["gateway of hall 2"], extra_json_schema={"maxLength": NOTE_CHARS_MAX})
]


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make."""

    role: Annotated[KeyRole, Meta(examples=["device"])]
    device_id: Annotated[
        str | None, Meta(description="whose key it is, for the role `device`", examples=["press-07"])
    ] = None
    scope: ScopeTexts = []
    description: Description = ""
    expires_at: Annotated[
        TimeText | None, Meta(description="until this time; without `expires_in`", examples=[None])
    ] = None
    expires_in: Annotated[DurationText | None, Meta(description="or for so long", examples=["90d"])] = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the old key is still good for."""

    overlap: Annotated[DurationText, Meta(examples=[OVERLAP])] = OVERLAP


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """A key to make, checked, but for whether there is the device."""

    role: Role
    device_id: str | None = None
    scope: Scope = ()
    description: str = ""
    expires_at_ns: int | None = None


def wished_key(body: NewKey, *, now_ns: int) -> KeyWish:
    """The checked wish. Raises: Malformed: a time cannot be read. OutOfRange: a value breaks a rule."""
    if (body.role == "device") != (body.device_id is not None):
        text = "the role `device` needs `device_id`, and no other role takes it"
        raise OutOfRange(text, reason="key")
    if body.scope and body.role in WITHOUT_SCOPE:
        raise OutOfRange(f"the role `{body.role}` takes no scope", reason="key")
    check_description(body.description)
    return KeyWish(
        role=body.role,
        device_id=body.device_id,
        scope=read_scope(body.scope, reason="key"),
        description=body.description,
        expires_at_ns=expiry_ns(body.expires_at, body.expires_in, now_ns=now_ns),
    )


def check_description(text: str) -> None:
    """Raises: OutOfRange: it is too long, or has a NUL."""
    try:
        check_text(text, field="description", chars_max=NOTE_CHARS_MAX)
    except ValueError as error:
        raise OutOfRange(str(error), reason="key") from error


def expiry_ns(expires_at: str | None, expires_in: str | None, *, now_ns: int) -> int | None:
    """When a key expires, in nanoseconds since 1970; None: never. Raises: Malformed; OutOfRange: not later than now."""
    if expires_at is not None and expires_in is not None:
        raise Malformed("give `expires_at` or `expires_in`, not both")
    if expires_at is None and expires_in is None:
        return None
    end_ns = now_ns if expires_at is None else declared_time_ns("expires_at", expires_at)
    end_ns += 0 if expires_in is None else length_ns("expires_in", expires_in)
    if not now_ns < end_ns <= TIME_HIGHEST_NS:
        raise OutOfRange(
            "`expires_at` and `expires_in`: a key must expire later than now, and before the year 2200", reason="key"
        )
    return end_ns


def overlap_ns(text: str, *, now_ns: int) -> int:
    """How long an earlier key is good yet, in ns. Raises: Malformed; OutOfRange: beyond the year 2200."""
    length = length_ns("overlap", text)
    if now_ns + length > TIME_HIGHEST_NS:
        raise OutOfRange("`overlap` must end before the year 2200", reason="key")
    return length


def length_ns(field: str, text: str) -> int:
    """A length of time, in ns. Raises: Malformed."""
    try:
        return parse_length(text) * NS_PER_S
    except UnitMissing as error:
        raise Malformed(f"`{field}`: {error}") from error
    except ValueError as error:
        raise Malformed(f"`{field}` is not {DURATION_EXPECTED}") from error
