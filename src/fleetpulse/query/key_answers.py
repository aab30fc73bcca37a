"""Answers about keys and who asks; no secret is in any but the one that hands a new key out."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from fleetpulse.access.key_text import hint_of
from fleetpulse.ingest.scope_declarations import scope_texts
from fleetpulse.model.access import Principal, Role
from fleetpulse.model.key import KeyRecord
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import DeviceId, Time

NS_PER_MINUTE = 60_000_000_000
Number = Annotated[int, Meta(ge=1, description="by which the key is revoked", examples=[17])]
RoleName = Annotated[Role, Meta(examples=["read"])]
ScopeNames = Annotated[
    list[str], Meta(description="labels that devices must have; empty: every device", examples=[["site:paris"]])
]


class Key(Struct, kw_only=True):
    """A key, without its secret."""

    number: Number
    begins: Annotated[str, Meta(description="how its text begins", examples=["fp_read_h_…"])]
    role: RoleName
    scope: ScopeNames
    device_id: DeviceId | UnsetType = UNSET
    description: Annotated[str, Meta(examples=["dashboard of Paris"])]
    created_at: Time
    created_by: Annotated[str, Meta(examples=["key 1"])]
    expires_at: Annotated[Time | None, Meta(description="null: never", examples=[None])]
    last_used_at: Annotated[Time | None, Meta(description="to the minute; null: never")]
    revoked_at: Time | UnsetType = UNSET
    revoked_by: Annotated[str | UnsetType, Meta(examples=["key 1"])] = UNSET


class MadeKey(Key, kw_only=True):
    """A key that was just made; only this answer has its text."""

    key: Annotated[
        str,
        Meta(
            description="what to send as `Authorization: Bearer …`; it cannot be shown again",
            examples=["fp_read_h_0123456789abcdefghijklmnopq5Gk2Lx"],
        ),
    ]
    notes: Annotated[
        list[str], Meta(description="where the key for everything is that came with it", examples=[[]])
    ] = []


class KeyList(Struct):
    """A page of keys, by number."""

    keys: list[Key]
    next_cursor: Annotated[
        str | None, Meta(description="`cursor` of the next page; null: that was all", examples=[None])
    ]


class WhoAmI(Struct, kw_only=True):
    """Who asks, as the service sees it."""

    kind: Annotated[str, Meta(description="how it is known: `open`, `key`, `person`, …", examples=["key"])]
    name: Annotated[str, Meta(examples=["key 17 (dashboard of Paris)"])]
    role: RoleName
    scope: ScopeNames
    device_id: DeviceId | UnsetType = UNSET
    key: Annotated[int | UnsetType, Meta(description="the number of the key", examples=[17])] = UNSET


def describe_key(key: KeyRecord, *, device_id: str | None, used_minute: int) -> Key:
    """A key. `used_minute`: in which minute since 1970 it was last used; 0: never."""
    return Key(**_facts(key, device_id, used_minute))


def describe_made_key(key: KeyRecord, text: str, *, device_id: str | None, notes: Sequence[str] = ()) -> MadeKey:
    """A key that was just made, with its text."""
    return MadeKey(**_facts(key, device_id, 0), key=text, notes=list(notes))


def _facts(key: KeyRecord, device_id: str | None, used_minute: int) -> dict[str, Any]:
    is_revoked = key.revoked_at_ns is not None
    return {
        "number": key.number,
        "begins": hint_of(key.role, key.number),
        "role": key.role,
        "scope": scope_texts(key.scope),
        "device_id": UNSET if device_id is None else device_id,
        "description": key.description,
        "created_at": format_rfc3339(key.created_at_ns),
        "created_by": key.created_by,
        "expires_at": None if key.expires_at_ns is None else format_rfc3339(key.expires_at_ns),
        "last_used_at": format_rfc3339(used_minute * NS_PER_MINUTE) if used_minute else None,
        "revoked_at": UNSET if key.revoked_at_ns is None else format_rfc3339(key.revoked_at_ns),
        "revoked_by": key.revoked_by if is_revoked else UNSET,
    }


def describe_principal(principal: Principal) -> WhoAmI:
    """Who asks."""
    return WhoAmI(
        kind=principal.kind,
        name=principal.name,
        role=principal.role,
        scope=scope_texts(principal.scope),
        device_id=principal.device_id or UNSET,
        key=UNSET if principal.key is None else principal.key,
    )
