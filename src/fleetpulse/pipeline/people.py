"""Who may sign in: written to the catalog first, then in effect. Passwords are hashed in a thread of their own."""

import asyncio
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from fleetpulse.access.passwords import hash_password, is_password
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.person_records import PersonRecord
from fleetpulse.clock import Clock
from fleetpulse.errors import Busy, Conflict, NotFound, OutOfRange
from fleetpulse.model.access import Scope
from fleetpulse.model.device import check_labels
from fleetpulse.model.person import Person, PersonRole, Session, check_password, check_person_name
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.sessions import Sessions
from fleetpulse.sign_in_limits import SignInLimits


class People:
    """All people, by name.

    Attributes:
        changing: held by whoever changes a person, or begins a session, so that a session never outlives its password.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        passwords: Executor,
        sessions: Sessions,
        limits: SignInLimits,
    ) -> None:
        self.changing = asyncio.Lock()
        self._records: dict[str, PersonRecord] = {}
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._limits = limits
        self._waiting = 0

    def load(self) -> None:
        """Read all people from the catalog. Blocks; for the start."""
        self._records = {record.person.name: record for record in self._catalog.people.people()}

    async def reload(self) -> None:
        """Bring memory to what other nodes wrote to the catalog, of sessions too. Raises: NotAccepting."""

        def read() -> tuple[list[PersonRecord], list[Session]]:
            return self._catalog.people.people(), self._catalog.people.sessions()

        async with self.changing:
            people, sessions = await self._catalog_thread.run(read)
            self._records = {record.person.name: record for record in people}
            self._sessions.replace(sessions)

    def all(self) -> list[Person]:
        """All people, by name."""
        return [self._records[name].person for name in sorted(self._records)]

    def record(self, name: str) -> PersonRecord | None:
        """What is known of a person."""
        return self._records.get(name)

    def get(self, name: str) -> Person:
        """A person. Raises: NotFound."""
        record = self._records.get(name)
        if record is None:
            text = f"nobody is called {name[:64]}: `fleetpulse users list` shows all"
            raise NotFound(text, reason="unknown_person")
        return record.person

    async def add(self, name: str, *, role: PersonRole, scope: Scope, password: str) -> Person:
        """Let a person sign in. Raises: Conflict: there is one of this name; OutOfRange; Busy; NotAccepting."""
        person = Person(name=name, role=role, scope=scope, created_at_ns=self._clock.now_ns())
        _check(person)
        self._check_new(name)
        password_hash = await self._hash(name, password)
        async with self.changing:
            self._check_new(name)
            await self._put(PersonRecord(person, password_hash))
        return person

    def _check_new(self, name: str) -> None:
        if name in self._records:
            text = f"there is a person {name} already: change them with PATCH, or `fleetpulse users set-password`"
            raise Conflict(text, reason="person_exists")
        if len(self._records) >= self._limits.people_max:
            text = f"there are {self._limits.people_max} people (people_max): remove those who have left"
            raise OutOfRange(text, setting="people_max")

    async def change(
        self,
        name: str,
        *,
        role: PersonRole | None = None,
        scope: Scope | None = None,
        password: str | None = None,
        is_disabled: bool | None = None,
    ) -> Person:
        """Change a person; what is None stays. A new password, and being disabled, end all sessions.

        Raises: NotFound; OutOfRange; Busy; NotAccepting.
        """
        self.get(name)
        password_hash = None if password is None else await self._hash(name, password)
        async with self.changing:
            before = self.get(name)
            person = replace(
                before,
                role=role or before.role,
                scope=before.scope if scope is None else scope,
                is_disabled=before.is_disabled if is_disabled is None else is_disabled,
            )
            ends_sessions = password_hash is not None or (person.is_disabled and not before.is_disabled)
            if ends_sessions:
                person = replace(person, version=before.version + 1)
            _check(person)
            record = PersonRecord(person, password_hash or self._records[name].password_hash)
            await self._put(record, ends_sessions=ends_sessions)
        return person

    async def rehash(self, name: str, password_hash: str) -> None:
        """Replace a hash that was made with old parameters; the password stays the same. While `changing` is held."""
        await self._put(PersonRecord(self.get(name), password_hash))

    async def _put(self, record: PersonRecord, *, ends_sessions: bool = False) -> None:
        put = partial(self._catalog.people.put, record, ends_sessions=ends_sessions)
        await self._catalog_thread.run(put)
        self._records[record.person.name] = record
        if ends_sessions:
            self._sessions.forget(record.person.name)

    async def remove(self, name: str) -> Person:
        """Let a person sign in no more, and end all their sessions. Raises: NotFound; NotAccepting."""
        async with self.changing:
            person = self.get(name)
            await self._catalog_thread.run(partial(self._catalog.people.remove, name))
            del self._records[name]
            self._sessions.forget(name)
        return person

    async def _hash(self, name: str, password: str) -> str:
        try:
            check_password(password, name, chars_least=self._limits.password_chars_least)
        except ValueError as error:
            raise OutOfRange(str(error), reason="password") from error
        return await self.hashed(password)

    async def hashed(self, password: str) -> str:
        """The hash of a password, made in its own thread. Raises: Busy."""
        return str(await self._in_thread(partial(hash_password, password)))

    async def verify(self, record: PersonRecord | None, password: str) -> bool:
        """Whether a password is that of a person; where there is none, it takes as long. Raises: Busy."""
        return bool(await self._in_thread(partial(is_password, password, record and record.password_hash)))

    async def _in_thread(self, work: "partial[str] | partial[bool]") -> str | bool:
        if self._waiting >= self._limits.logins_waiting_max:
            raise Busy(
                f"{self._waiting} passwords wait to be checked (logins_waiting_max): try again",
                reason="logins_waiting",
                retry_after_s=2,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._passwords, work)
        finally:
            self._waiting -= 1


def _check(person: Person) -> None:
    try:
        check_person_name(person.name)
        check_labels(dict(person.scope))
    except ValueError as error:
        raise OutOfRange(str(error), reason="person") from error
