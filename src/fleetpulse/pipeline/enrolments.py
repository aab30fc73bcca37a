"""Enrolment: a new device shows an enrolment key, is registered, and is given its own key.

    never enrolled, and its id is free          registered, and given a key
    enrolled, and repeats it with its secret    the answer was lost: the first key is revoked, and it gets another one,
      within 10 minutes, its key unused         as often as it asks in this time
    people have let it enrol again              its former keys are revoked already; given a key
    anything else                               refused, and in the audit log

All of one enrolment is one transaction of the catalog: the device, its key, and the use of the enrolment key. So after
a crash there are all of these or none, and a device that got no answer repeats its request either way.
"""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.access.gate import Gate
from fleetpulse.access_errors import Forbidden
from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import Conflict
from fleetpulse.ingest.enrolment_declarations import EnrolBody, NewEnrolmentKey, enrolling_device, wished_enrolment_key
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.access import Principal
from fleetpulse.model.device import Device
from fleetpulse.model.enrolment import REPEAT_NS, Enrolment, EnrolmentTerms
from fleetpulse.model.key import KeyRecord
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.made_keys import Issued, Made, made_key
from fleetpulse.pipeline.registry import Registry

EXISTS = "device_exists"


@dataclass(eq=False, frozen=True, kw_only=True)
class Enrolments:
    """See the module."""

    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    gate: Gate
    registry: Registry
    key_ring: KeyRing
    daily: DailyLimit

    async def make_key(self, body: NewEnrolmentKey, *, principal: Principal | None) -> tuple[Made, EnrolmentTerms]:
        """Make an enrolment key. Raises: Malformed; OutOfRange; Conflict: nobody needs a key yet; NotAccepting."""
        wish, terms = wished_enrolment_key(body, now_ns=self.clock.now_ns())
        if self.gate.is_at_machine_only:
            raise Conflict(
                "nobody needs a key yet, so no device needs to enrol: make the first key before "
                "(`fleetpulse keys add --role admin --yes`)",
                reason="first_key",
            )

        def note(made: list[Made]) -> None:
            self.catalog.enrolments.add_terms(terms._replace(key=made[0][0].number))

        (made,) = await self.key_ring.make_all([wish], principal=principal, also=note)
        return made, terms._replace(key=made[0].number)

    async def keys(self) -> list[tuple[KeyRecord, EnrolmentTerms]]:
        """All enrolment keys that are not revoked, by number. Raises: NotAccepting."""

        def read() -> list[tuple[KeyRecord, EnrolmentTerms]]:
            found = [(self.catalog.keys.find(terms.key), terms) for terms in self.catalog.enrolments.all_terms()]
            return [(key, terms) for key, terms in found if key is not None and key.revoked_at_ns is None]

        return await self.catalog_thread.run(read)

    async def enrol(self, body: EnrolBody, *, principal: Principal | None) -> Issued:
        """Register a device, and give it its key.

        Raises: Forbidden: the enrolment key does not allow it; Conflict: it cannot enrol, or not again;
            TooManyRequests: too many enrolled today; Malformed; OutOfRange; NotAccepting.
        """
        number = principal.key if principal is not None else None
        find = self.catalog.enrolments.terms
        terms = None if number is None else await self.catalog_thread.run(partial(find, number))
        if terms is None:
            raise Forbidden("enrolling needs an enrolment key (`fleetpulse enrolment add`)", reason="role")
        device = enrolling_device(body, terms)
        if not terms.matches(device.id):
            raise Forbidden(
                f"key {terms.key} enrols devices whose ids look like {terms.pattern}, and no others",
                reason="enrolment_pattern",
            )
        # Whoever changes devices waits, and so does whoever makes keys.
        async with self.registry.changing:
            if device.id in self.registry.deleted:
                raise Conflict(f"device {device.id} was deleted: declare it again, and {_allow(device)}", reason=EXISTS)
            wish = _Wish(device, self.registry.numbers.get(device.id), terms, _hash(body.enroll_secret))
            issued = await self.key_ring.issue(partial(self._write, wish))
        if not issued.is_repeated:
            self.daily.count()
        return issued

    def _write(self, wish: "_Wish", key_number: int) -> Issued:
        """Write an enrolment, in one transaction. On the catalog's thread."""
        records, at_ns, device = self.catalog.enrolments, self.clock.now_ns(), wish.device
        with self.catalog.transaction():
            key_number = self.catalog.keys.number_for(key_number)
            former = None if wish.number is None else records.of(wish.number)
            is_repeated = former is not None and former.device_key != 0
            if is_repeated and former is not None:
                self._check_repeat(wish, former, at_ns)
                self.catalog.keys.revoke([former.device_key], at_ns=at_ns, by=f"the enrolment of {device.id} again")
            elif wish.number is not None and former is None:
                text = (
                    f"there is a device {device.id} already, which did not enrol: if it is this one, {_allow(device)}"
                )
                raise Conflict(text, reason=EXISTS)
            else:
                self._check_uses(wish.terms)
            registered = self.registry.write([device]) if wish.number is None else None
            if registered is not None and not registered.new:
                raise Conflict(f"there is a device {device.id} already, since a moment ago", reason=EXISTS)
            number = wish.number if registered is None else registered.new[0]
            about = f"enrolled with key {wish.terms.key}"
            key, text = made_key(
                KeyWish(role="device", description=about), number=key_number, device=number, at_ns=at_ns, by=about
            )
            self.catalog.keys.add([key])
            first_at_ns = former.at_ns if is_repeated and former is not None else at_ns
            enrolment = Enrolment(key.device or 0, wish.terms.key, key.number, wish.secret_hash, first_at_ns)
            records.put(enrolment, counts=not is_repeated)
            (known,) = self.catalog.records_of([enrolment.device])
        revoked = [former.device_key] if is_repeated and former is not None else []
        return Issued(key, text, revoked, registered, known.device, is_repeated)

    def _check_uses(self, terms: EnrolmentTerms) -> None:
        """Raises: Forbidden; TooManyRequests: no further device may enrol."""
        latest = self.catalog.enrolments.terms(terms.key)
        if latest is None or latest.uses >= latest.uses_max:
            raise Forbidden(
                f"key {terms.key} has enrolled {terms.uses_max} devices, as many as it may: make another one",
                reason="enrolment_uses",
            )
        self.daily.check()

    def _check_repeat(self, wish: "_Wish", former: Enrolment, at_ns: int) -> None:
        """Raises: Conflict: the device has enrolled, and this is no repeat of an enrolment whose answer was lost."""
        is_same = compare_digest(former.secret_hash, wish.secret_hash) and former.enrolment_key == wish.terms.key
        is_soon = former.at_ns <= at_ns < former.at_ns + REPEAT_NS
        if not (is_same and is_soon) or self.key_ring.used_minute(former.device_key):
            text = f"device {wish.device.id} has enrolled already; if it was reset, {_allow(wish.device)}"
            raise Conflict(text, reason="enrolled")

    async def allow(self, device_id: str) -> int:
        """Let a known device enrol, though it is registered, or has enrolled before; its keys are refused from now on.

        Returns: how many keys were revoked. Raises: UnknownDevice; NotAccepting.
        """
        async with self.registry.changing:
            number = self.registry.number_of(device_id)

            def write() -> list[int]:
                with self.catalog.transaction():
                    keys = self.catalog.keys.of_devices([number])
                    self.catalog.keys.revoke(keys, at_ns=self.clock.now_ns(), by=f"letting {device_id} enrol again")
                    self.catalog.enrolments.put(Enrolment(number, 0, 0, b"", 0), counts=False)
                    audit_change(f"device {device_id}", {"may_enrol": False}, {"may_enrol": True})
                    return keys

            keys = await self.catalog_thread.run(write)
            await self.key_ring.forget_devices([number])
        return len(keys)


class _Wish(NamedTuple):
    """What a device asks for; `number`: its number, None where it is new."""

    device: Device
    number: int | None
    terms: EnrolmentTerms
    secret_hash: bytes


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _allow(device: Device) -> str:
    return f"somebody must let it enrol (`fleetpulse enrolment allow {device.id}`)"
