"""Badges: the health of a device or of some devices, for those who may read it, or who know the token of one badge.

A token shows one badge and nothing else, until it is revoked or its device is deleted. Each showing looks it up in the
catalog, so that it ends at once; what is shown is worked out at most once in `KEPT_S` for each badge, since a badge on
a public page may be asked for by anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from fleetpulse.access.key_text import hash_key, is_badge_token, make_badge_token
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import NotFound, OutOfRange
from fleetpulse.ingest.badge_declarations import NewBadge, wished_labels
from fleetpulse.model.access import Principal, Scope
from fleetpulse.model.badge import BadgeRecord
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.badge_answers import BadgeEntry, MadeBadge, describe_badge, describe_made_badge
from fleetpulse.query.badges import Badge, device_badge, fleet_badge

KEPT_S = 5


@dataclass(eq=False, kw_only=True)
class Badges:
    """Used on the loop."""

    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    registry: Registry
    questions: Questions
    badges_max: int
    _kept: dict[int, tuple[int, Badge]] = field(default_factory=dict, init=False)
    """By number, when badges were worked out on the monotonic clock, in ns, and what they show."""

    async def of_device(self, device_id: str) -> Badge:
        """The badge of a device. Raises: UnknownDevice."""
        status, _, _ = await self.questions.status(device_id)
        return device_badge(device_id, status)

    async def of_labels(self, labels: Scope) -> Badge:
        """The badge of the devices with all of `labels`, within the scope of whoever asks."""
        return await self.questions.devices(partial(fleet_badge, labels=labels), start_ns=self.clock.now_ns())

    async def make(self, body: NewBadge, *, principal: Principal | None) -> MadeBadge:
        """Make a badge with a token. Raises: UnknownDevice; OutOfRange; NotAccepting."""
        labels = wished_labels(body)
        device = None if body.device_id is None else self.registry.number_of(body.device_id)
        by = "everybody" if principal is None else principal.name

        def write() -> tuple[BadgeRecord, str]:
            with self.catalog.transaction():
                if len(self.catalog.badges.all()) >= self.badges_max:
                    raise OutOfRange(
                        f"there are {self.badges_max} badges (badges_max): revoke one, or raise the setting",
                        reason="badges_max",
                    )
                number = self.catalog.badges.next_number()
                token = make_badge_token(number)
                badge = BadgeRecord(
                    number, hash_key(token.encode()), device, labels, body.description, self.clock.now_ns(), by
                )
                self.catalog.badges.add(badge)
                return badge, token

        badge, token = await self.catalog_thread.run(write)
        return describe_made_badge(badge, body.device_id, token)

    async def list(self) -> "Sequence[BadgeEntry]":
        """All badges that have tokens, by number. Raises: NotAccepting."""
        badges = await self.catalog_thread.run(self.catalog.badges.all)
        numbers = [badge.device for badge in badges if badge.device is not None]
        records = await self.registry.records_of(numbers)
        ids = {record.number: record.device.id for record in records}
        return [describe_badge(badge, None if badge.device is None else ids[badge.device]) for badge in badges]

    async def revoke(self, number: int) -> None:
        """Remove a badge; its token shows nothing any more. Raises: NotFound; NotAccepting."""
        if not await self.catalog_thread.run(partial(self.catalog.badges.remove, number)):
            raise NotFound(f"there is no badge {number}", reason="badge")
        self._kept.pop(number, None)

    async def shown(self, token: str) -> Badge:
        """The badge of a token. Raises: NotFound: there is none, or it was revoked."""
        find = self.catalog.badges.find
        badge = (
            await self.catalog_thread.run(partial(find, hash_key(token.encode()))) if is_badge_token(token) else None
        )
        if badge is None:
            raise NotFound("there is no such badge: its token is wrong, or was revoked", reason="badge")
        now_ns = self.clock.monotonic_ns()
        kept = self._kept.get(badge.number)
        if kept is not None and now_ns - kept[0] < KEPT_S * NS_PER_S:
            return kept[1]
        if badge.device is None:
            found = await self.of_labels(badge.labels)
        else:
            (record,) = await self.registry.records_of([badge.device])
            found = await self.of_device(record.device.id)
        self._kept[badge.number] = now_ns, found
        return found
