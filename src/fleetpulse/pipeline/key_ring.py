"""Keys: made and revoked in the catalog first, then in memory, where the gate looks them up.

A key is answered after it is durable. A crash in between leaves a key that nobody knows, which was never used. A key
that is being revoked is refused at once, and its revocation is answered after it is durable, so a crash cannot bring it
back.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import structlog

from fleetpulse.access.gate import Gate
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, Conflict, NotFound, OutcomeUnknown, OutOfRange
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.access import Principal, Role
from fleetpulse.model.key import KeyRecord
from fleetpulse.model.maintenance import TIME_HIGHEST_NS
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.admin_key import make_admin_key, making_admin_key
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.key_loading import PIECE_KEYS, adopt_keys, load_keys, pieces_to_read, put_key, read_keys
from fleetpulse.pipeline.key_suspension import suspend
from fleetpulse.pipeline.made_keys import BY_FAILURE, Issued, Made, made_key
from fleetpulse.pipeline.registry import Registry

log = structlog.get_logger("keys")
EXPIRED_KNOWN_S = 30 * 86_400
"""So long an expired key is known in memory, and its holder told that it has expired; after that it is a wrong key."""


class KeyRing:
    """All keys. `unreadable` are sentences about rows of the catalog that are damaged."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        gate: Gate,
        registry: Registry,
        folder: Path,
        keys_max: int,
    ) -> None:
        """`folder`: the data folder, for the file of the first key."""
        self.unreadable: list[str] = []
        self.admin_key_path: Path | None = None
        """Where the service has put an admin key since it started; None: it has not."""
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._gate = gate
        self._registry = registry
        self._folder = folder
        self._keys_max = keys_max
        self._next_number = 1
        self._coming = 0
        """Keys that are yet to be made by requests under way."""
        self._changing = asyncio.Lock()
        """Held from the transaction until memory follows it, so that memory follows in the order of transactions."""

    def load(self) -> None:
        """Read all keys from the catalog; make the first one where it is needed. Blocks; for the start.

        Raises: DamagedData; StorageFailed: the file of the key cannot be written; OSError; DatabaseBusy.
        """
        gate, records = self._gate, self._catalog.keys
        load_keys(gate.keys, records, self.unreadable)
        self._next_number = gate.keys.numbers_end = records.next_number()
        gate.keys.remove_expired(before_s=self._clock.now_ns() / NS_PER_S - EXPIRED_KNOWN_S)
        gate.open(were_keys_made=self._next_number > 1)
        if gate.is_protected and not gate.keys.has_lasting_admin():
            self._make_admin_key()
            gate.were_keys_made = True

    async def reload(self, numbers: Sequence[int] | None) -> None:
        """Bring memory to what other nodes did with the keys of these numbers, None: with all. Raises: NotAccepting."""
        gate, records = self._gate, self._catalog.keys
        async with self._changing:
            end = await self._catalog_thread.run(records.next_number)
            for piece in pieces_to_read(numbers, end=end):
                adopt_keys(gate.keys, piece, await self._catalog_thread.run(partial(read_keys, records, piece)))
            self._next_number = max(self._next_number, end)
        if end > 1 and not gate.were_keys_made:
            gate.were_keys_made = True

    async def reload_known(self, numbers: Sequence[int] | None) -> None:
        """The same of keys that are known here alone: it ends those that were ended. Raises: NotAccepting."""
        keys = self._gate.keys
        known = range(1, keys.numbers_end) if numbers is None else numbers
        if here := [number for number in known if keys.row(number)]:
            await self.reload(here)

    def _put(self, key: KeyRecord) -> None:
        put_key(self._gate.keys, key)
        self._next_number = max(self._next_number, key.number + 1)

    def _make_admin_key(self) -> None:
        """Make a key that may do everything, and write it to its file. Blocks."""
        number, at_ns = self._take_numbers(1), self._clock.now_ns()
        with making_admin_key(self._catalog, by="the service"):
            if self._catalog.keys.number_for(number) > number:  # another node that starts at the same time has made it
                return
            key, path = make_admin_key(self._catalog, self._folder, number=number, at_ns=at_ns, by="the service")
        self._put(key)
        self.admin_key_path = path
        log.warning("an admin key was made", file=str(path), todo="use it to make others, then move it to a safe place")

    def _take_numbers(self, count: int) -> int:
        """Reserve numbers, which are given to no other keys even if these are not made. Returns: the first one."""
        first = self._next_number
        self._next_number += count
        return first

    async def make_all(
        self,
        wishes: Sequence[KeyWish],
        *,
        principal: Principal | None,
        is_confirmed: bool = False,
        until_ns: int | None = None,
        also: Callable[[list[Made]], None] = lambda _made: None,
    ) -> list[Made]:
        """Make keys, all or none; from the first one on, everybody needs one, which must be confirmed.

        Many are made in pieces, between which others may change keys.

        Args:
            until_ns: keys that the devices have already are good until then at most; None: they stay as they are.
            also: writes what belongs to the keys, in the transaction that writes them.
        Raises: UnknownDevice; Conflict: it is the first key, and that is not confirmed; OutOfRange: too many keys;
            NotAccepting; OutcomeUnknown.
        """
        devices = [None if wish.device_id is None else self._registry.number_of(wish.device_id) for wish in wishes]
        pieces = [slice(start, start + PIECE_KEYS) for start in range(0, len(wishes), PIECE_KEYS)]
        async with self._changing:
            self._check_room(len(wishes))
            if self._gate.is_at_machine_only:
                await self._begin_protection(wishes, is_confirmed=is_confirmed)
        first, made = self._take_numbers(len(wishes)), list[Made]()
        self._coming += len(wishes)
        try:
            for piece in pieces:
                async with self._changing:
                    number = first + piece.start
                    made += await self._make(
                        wishes[piece], devices[piece], first=number, principal=principal, also=also
                    )
                    self._coming -= len(wishes[piece])
            # Only when all are made: until then the devices need what they have.
            for piece in pieces if until_ns is not None else []:
                async with self._changing:
                    await self._expire_earlier(devices[piece], before=first, until_ns=until_ns or 0)
        except Answerable:
            await self._take_back(made)
            raise
        finally:
            self._coming -= len(wishes) - len(made)
        return made

    async def _expire_earlier(self, devices: Sequence[int | None], *, before: int, until_ns: int) -> None:
        """Have the keys of devices expire whose number is less than `before`."""

        def write() -> list[int]:
            with self._catalog.transaction():
                numbers = self._catalog.keys.of_devices([device for device in devices if device is not None])
                earlier = [number for number in numbers if number < before]
                self._catalog.keys.expire(earlier, at_ns=until_ns)
            return earlier

        for number in await self._catalog_thread.run(write):
            self._gate.keys.expire(number, until_ns / NS_PER_S)

    async def _take_back(self, made: Sequence[Made]) -> None:
        """Revoke keys that nobody is given, since not all could be made."""
        for start in range(0, len(made), PIECE_KEYS):
            numbers = [key.number for key, _ in made[start : start + PIECE_KEYS]]
            revoke = partial(self._catalog.keys.revoke, numbers, at_ns=self._clock.now_ns(), by=BY_FAILURE)
            try:
                async with self._changing:
                    await self._catalog_thread.run(revoke)
                    self._remove(numbers)
            except Answerable as error:
                log.warning("keys that nobody was given could not be revoked", first=numbers[0], error=str(error))

    async def rotate(self, number: int, *, overlap_ns: int, principal: Principal | None) -> Made:
        """Make a key like another, which is good for so long yet. The new one lives as long as the old one was to.

        Raises: NotFound; UnknownDevice; Conflict: the old one is not in use any more; OutOfRange: too many keys.
        """
        async with self._changing:
            old, now_ns = await self.find(number), self._clock.now_ns()
            if old.revoked_at_ns is not None or (old.expires_at_ns is not None and old.expires_at_ns <= now_ns):
                raise Conflict(f"key {number} is revoked, or has expired: make a new one instead", reason="key_ended")
            if old.role == "enrol":
                text = (
                    f"key {number} enrols devices: make another one (`fleetpulse enrolment add`), and revoke this one"
                )
                raise Conflict(text, reason="enrolment_key")
            life_ns = None if old.expires_at_ns is None else old.expires_at_ns - old.created_at_ns
            wish = KeyWish(
                role=old.role,
                scope=old.scope,
                description=old.description,
                expires_at_ns=None if life_ns is None else min(now_ns + life_ns, TIME_HIGHEST_NS),
            )
            until_ns = now_ns + overlap_ns
            self._check_room(1)
            (made,) = await self._make(
                [wish],
                [old.device],
                first=self._take_numbers(1),
                principal=principal,
                also=lambda _made: self._catalog.keys.expire([number], at_ns=until_ns),
            )
            self._gate.keys.expire(number, until_ns / NS_PER_S)
            return made

    async def _make(
        self,
        wishes: Sequence[KeyWish],
        devices: Sequence[int | None],
        *,
        first: int,
        principal: Principal | None,
        also: Callable[[list[Made]], None],
    ) -> list[Made]:
        """Make keys in one transaction, then bring memory to it. `first`: the number of the first one."""
        at_ns, by = self._clock.now_ns(), "" if principal is None else principal.name

        def write() -> list[Made]:
            with self._catalog.transaction():
                made = [
                    made_key(wish, number=number, device=device, at_ns=at_ns, by=by)
                    for number, (wish, device) in enumerate(
                        zip(wishes, devices, strict=True), self._catalog.keys.number_for(first)
                    )
                ]
                self._catalog.keys.add(key for key, _ in made)
                also(made)
            return made

        made = await self._catalog_thread.run(write)
        for key, _ in made:
            self._put(key)
        if not self._gate.were_keys_made:
            self._gate.were_keys_made = True
        return made

    def _check_room(self, count: int) -> None:
        self._gate.keys.remove_expired(before_s=self._clock.now_ns() / NS_PER_S - EXPIRED_KNOWN_S)
        if len(self._gate.keys) + self._coming + count > self._keys_max:
            raise OutOfRange(f"there would be more than {self._keys_max} keys (keys_max)", setting="keys_max")

    async def issue(self, write: Callable[[int], Issued]) -> Issued:
        """Give a key to a device that `write`, given the number of the key, writes to the catalog, on its thread.

        Raises: OutOfRange: too many keys; what `write` raises; NotAccepting; OutcomeUnknown.
        """
        async with self._changing:
            self._check_room(1)
            issued = await self._catalog_thread.run(partial(write, self._take_numbers(1)))
            if issued.registered is not None:
                await self._registry.adopt(issued.registered)
            self._remove(issued.revoked)
            self._put(issued.key)
        return issued

    async def _begin_protection(self, wishes: Sequence[KeyWish], *, is_confirmed: bool) -> None:
        """Before the first key is made on a node that is open. Raises: Conflict: that is not confirmed."""
        if not is_confirmed:
            raise Conflict(
                "this is the first key: from now on every request needs one, and devices without a key are refused "
                "(401). Say that you mean it: --yes, or in the query confirm=true",
                reason="first_key",
            )
        if not any(wish.role == "admin" and not wish.scope and wish.expires_at_ns is None for wish in wishes):
            # Otherwise nobody could make a second key, or revoke this one.
            await self._catalog_thread.run(self._make_admin_key)
            self._gate.were_keys_made = True

    async def find(self, number: int) -> KeyRecord:
        """One key, revoked or not. Raises: NotFound; NotAccepting."""
        key = await self._catalog_thread.run(partial(self._catalog.keys.find, number))
        if key is None:
            raise NotFound(f"there is no key {number}: `fleetpulse keys list` shows all", reason="unknown_key")
        return key

    async def page(
        self, *, after: int, count: int, role: Role | None, device_ids: Sequence[str], is_revoked_included: bool
    ) -> list[KeyRecord]:
        """At most `count` keys with higher numbers than `after`; without `device_ids` of all devices, and all others.

        Raises: UnknownDevice; NotAccepting.
        """
        devices = [self._registry.number_of(device_id, is_deleted_included=True) for device_id in device_ids]
        chosen = partial(self._catalog.keys.page, role=role, devices=devices, is_revoked_included=is_revoked_included)
        return await self._catalog_thread.run(partial(chosen, after=after, count=count))

    async def revoke(self, number: int, *, principal: Principal | None) -> KeyRecord:
        """Refuse a key from now on, for good: at once in memory, whatever the catalog is at.

        Raises: NotFound; Conflict: nobody could administer then; NotAccepting: the key is good as before;
            OutcomeUnknown: it is refused at least until the next start.
        """
        suspend(self._gate.keys, number)
        try:
            return await self._revoke(number, principal=principal)
        except OutcomeUnknown:
            raise
        except Answerable:
            self._gate.keys.resume(number)
            raise

    async def _revoke(self, number: int, *, principal: Principal | None) -> KeyRecord:
        async with self._changing:
            key = await self.find(number)
            if key.revoked_at_ns is not None:
                return key
            suspend(self._gate.keys, number)  # an earlier revocation of it may have failed meanwhile
            at_ns, by = self._clock.now_ns(), "" if principal is None else principal.name
            await self._catalog_thread.run(partial(self._catalog.keys.revoke, [number], at_ns=at_ns, by=by))
            self._remove([number])
        return msgspec.structs.replace(key, revoked_at_ns=at_ns, revoked_by=by)

    async def forget_devices(self, devices: Sequence[int]) -> None:
        """Refuse the keys of devices that were deleted, whose keys the catalog has revoked. Raises: NotAccepting."""
        async with self._changing:
            of_devices = partial(self._catalog.keys.of_devices, devices, is_revoked_included=True)
            self._remove(await self._catalog_thread.run(of_devices))

    def _remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._gate.keys.remove(number)

    def used_minute(self, number: int) -> int:
        """In which minute since 1970 a key was last used; 0: never, or it is revoked."""
        keys = self._gate.keys
        row = keys.row(number)
        return keys.used_minutes[row] if row else 0

    def ids_of(self, keys: Sequence[KeyRecord]) -> Iterator[str | None]:
        """The ids of the devices whose keys these are; None for others."""
        return (None if key.device is None else self._registry.ids[key.device] for key in keys)
