"""Routes about keys, and about who asks."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, cast, get_args

from litestar import Response
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter

from fleetpulse.api.admission import principal_of
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.long_body import Rendering
from fleetpulse.api.parameters import (
    LIMIT_DEFAULT,
    LIMIT_HIGHEST,
    query_parameter,
    read_count,
    read_device_ids,
    read_truth,
)
from fleetpulse.api.request_body import whole_body
from fleetpulse.api.routes import Media, check_media, note_header, route
from fleetpulse.clock import Clock
from fleetpulse.errors import Malformed, NotFound
from fleetpulse.ingest.key_declarations import (
    KeyWish,
    NewKey,
    Rotation,
    check_description,
    expiry_ns,
    overlap_ns,
    wished_key,
)
from fleetpulse.ingest.key_import import keys_csv, read_ids
from fleetpulse.model.access import Principal, Role
from fleetpulse.notation.whole import read_number, whole
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.query.key_answers import (
    Key,
    KeyList,
    MadeKey,
    WhoAmI,
    describe_key,
    describe_made_key,
    describe_principal,
)

_NOT_STORED = {b"cache-control": b"no-store"}
"""Answers with keys are not to be kept by anybody in between."""
_TRUTH = {"type": OpenAPIType.BOOLEAN, "default": False}
KeyNumberPath = Annotated[
    str,
    PathParameter(description="number of a key", schema_extra={"pattern": "^[1-9][0-9]{0,18}$", "examples": ["17"]}),
]


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """Which keys are listed."""

    after: int
    count: int
    role: Role | None
    device_ids: Sequence[str]
    is_revoked_included: bool


def read_choice(
    device_ids: Sequence[str],
    role: Annotated[str | None, query_parameter("only keys of this role", enum=list(get_args(Role)))] = None,
    include_revoked: Annotated[str, query_parameter("revoked keys too", **_TRUTH)] = "false",
    limit: Annotated[
        str,
        query_parameter(
            "how many keys at most", type=OpenAPIType.INTEGER, minimum=1, maximum=LIMIT_HIGHEST, default=LIMIT_DEFAULT
        ),
    ] = str(LIMIT_DEFAULT),
    cursor: Annotated[str | None, query_parameter("`next_cursor` of the page before", min_length=1)] = None,
) -> KeyChoice:
    """Which keys are listed. Raises: Malformed; OutOfRange."""
    if role is not None and role not in get_args(Role):
        raise Malformed(f"role must be one of {', '.join(get_args(Role))}, not `{role[:50]}`")
    after = 0 if cursor is None else _whole(cursor)
    if after is None:
        raise Malformed("`cursor` is not the `next_cursor` of such a list")
    is_revoked_included = read_truth("include_revoked", include_revoked)
    return KeyChoice(after, read_count(limit, LIMIT_HIGHEST), cast(Role | None, role), device_ids, is_revoked_included)


def read_confirm(
    confirm: Annotated[
        str, query_parameter("make the first key of a node that is open, which is protected from then on", **_TRUTH)
    ] = "false",
) -> bool:
    """Whether the first key is meant. Raises: Malformed."""
    return read_truth("confirm", confirm)


def _whole(text: str) -> int | None:
    number = read_number(text)
    count = None if number is None else whole(number)
    return count if count is not None and 0 <= count < 1 << 63 else None


def read_key_number(key_number: KeyNumberPath) -> int:
    """The number of a key in the path. Raises: NotFound: it is none."""
    number = _whole(key_number)
    if number is None:
        raise NotFound(f"`{key_number[:50]}` is no number of a key", reason="unknown_key")
    return number


@route(
    "GET /api/v1/keys",
    group="access",
    operation="listKeys",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
    readers={"choice": read_choice, "device_ids": read_device_ids},
)
async def get_keys(key_ring: KeyRing, choice: KeyChoice) -> KeyList:
    """List keys by number, a page at a time, without their secrets."""
    keys = await key_ring.page(
        after=choice.after,
        count=choice.count + 1,
        role=choice.role,
        device_ids=choice.device_ids,
        is_revoked_included=choice.is_revoked_included,
    )
    shown = keys[: choice.count]
    described = [
        describe_key(key, device_id=device_id, used_minute=key_ring.used_minute(key.number))
        for key, device_id in zip(shown, key_ring.ids_of(shown), strict=True)
    ]
    return KeyList(described, str(shown[-1].number) if len(keys) > len(shown) else None)


@route(
    "POST /api/v1/keys",
    group="access",
    operation="makeKey",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 409, 422),
    status=HTTPStatus.CREATED,
    headers=_NOT_STORED,
    readers={"principal": principal_of, "is_confirmed": read_confirm},
)
async def post_key(
    key_ring: KeyRing, clock: Clock, payload: NewKey, principal: Principal | None, is_confirmed: bool
) -> MadeKey:
    """Make a key; its text is in this answer only."""
    wish, known_path = wished_key(payload, now_ns=clock.now_ns()), key_ring.admin_key_path
    ((key, text),) = await key_ring.make_all([wish], principal=principal, is_confirmed=is_confirmed)
    return describe_made_key(key, text, device_id=wish.device_id, notes=_notes(key_ring, known_path))


def _notes(key_ring: KeyRing, known_path: Path | None) -> list[str]:
    """Where the key for everything is, if it was just made together with a first key that is not."""
    if key_ring.admin_key_path is known_path:
        return []
    return [f"every request needs a key from now on; the one for everything is in {key_ring.admin_key_path}"]


@route(
    "GET /api/v1/keys/{key_number:str}",
    group="access",
    operation="getKey",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404,),
    readers={"number": read_key_number},
)
async def get_key(key_ring: KeyRing, number: int) -> Key:
    """Show one key, revoked or not, without its secret."""
    key = await key_ring.find(number)
    return describe_key(key, device_id=next(key_ring.ids_of([key])), used_minute=key_ring.used_minute(number))


@route(
    "DELETE /api/v1/keys/{key_number:str}",
    group="access",
    operation="revokeKey",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 409),
    readers={"number": read_key_number, "principal": principal_of},
)
async def delete_key(key_ring: KeyRing, number: int, principal: Principal | None) -> Key:
    """Revoke a key: it is refused from now on, for good."""
    used_minute = key_ring.used_minute(number)
    key = await key_ring.revoke(number, principal=principal)
    return describe_key(key, device_id=next(key_ring.ids_of([key])), used_minute=used_minute)


@route(
    "GET /api/v1/whoami",
    group="access",
    operation="whoAmI",
    permission="known",
    scope="none",
    limit="key",
    readers={"principal": principal_of},
)
async def get_who_am_i(principal: Principal) -> WhoAmI:
    """Tell who asks: the key, its role and its scope."""
    return describe_principal(principal)


@route(
    "POST /api/v1/keys/{key_number:str}/rotate",
    group="access",
    operation="rotateKey",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 409, 422),
    status=HTTPStatus.CREATED,
    headers=_NOT_STORED,
    readers={"number": read_key_number, "principal": principal_of},
)
async def rotate_key(
    key_ring: KeyRing, clock: Clock, number: int, payload: Rotation | None, principal: Principal | None
) -> MadeKey:
    """Make a key like another one, which is good for the overlap yet; its text is in this answer only."""
    length_ns = overlap_ns((payload or Rotation()).overlap, now_ns=clock.now_ns())
    key, text = await key_ring.rotate(number, overlap_ns=length_ns, principal=principal)
    return describe_made_key(key, text, device_id=next(key_ring.ids_of([key])))


@dataclass(frozen=True, slots=True)
class BulkTerms:
    """What holds for all keys of a bulk request. `until_ns`: how long earlier keys are good; None: unchanged."""

    expires_at_ns: int | None
    until_ns: int | None
    description: str


def read_terms(
    clock: Clock,
    description: Annotated[str, query_parameter("of all keys, for people", examples=["batch 7"])] = "",
    expires_in: Annotated[str | None, query_parameter("how long the keys are good", examples=["365d"])] = None,
    overlap: Annotated[
        str | None,
        query_parameter(
            "how long keys are still good that the devices have already; without it they stay as they are",
            examples=["7d"],
        ),
    ] = None,
) -> BulkTerms:
    """What holds for all keys. Raises: Malformed; OutOfRange."""
    check_description(description)
    now_ns = clock.now_ns()
    return BulkTerms(
        expiry_ns(None, expires_in, now_ns=now_ns),
        None if overlap is None else now_ns + overlap_ns(overlap, now_ns=now_ns),
        description,
    )


@route(
    "POST /api/v1/keys.csv",
    group="access",
    operation="makeKeys",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(409, 422),
    takes=Media("text/csv", "UTF-8: the first column is device_id", example="device_id\r\npress-07\r\n"),
    media=(Media("text/csv", "UTF-8: ids and keys", example="device_id,key\r\npress-07,fp_device_h_…\r\n"),),
    headers=_NOT_STORED,
    readers={"principal": principal_of, "is_confirmed": read_confirm, "terms": read_terms},
)
async def post_keys(
    *,
    request: AnyRequest,
    key_ring: KeyRing,
    inventory: Inventory,
    rendering: Rendering,
    terms: BulkTerms,
    principal: Principal | None,
    is_confirmed: bool,
) -> Response[bytes]:
    """Make a key for each device of a CSV, or, where one of them is not known, for none.

    The answer is the only one that has the keys: keep it, or make others.
    """
    check_media(request.headers, ["text/csv"])
    body = await whole_body(request)
    read = partial(read_ids, body, lines_max=inventory.limits.bulk_lines_max, known=inventory.registry.numbers)
    ids = await asyncio.get_running_loop().run_in_executor(inventory.import_thread, read)
    wishes = [
        KeyWish(role="device", device_id=device_id, description=terms.description, expires_at_ns=terms.expires_at_ns)
        for device_id in ids
    ]
    known_path = key_ring.admin_key_path
    made = await key_ring.make_all(wishes, until_ns=terms.until_ns, principal=principal, is_confirmed=is_confirmed)
    written: bytes = await rendering.run(keys_csv, list(zip(ids, (text for _, text in made), strict=True)))
    return await rendering.whole(
        written, headers={"content-type": "text/csv; charset=utf-8", **note_header(_notes(key_ring, known_path))}
    )
