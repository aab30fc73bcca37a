"""Who has signed in: written to the catalog first, then in effect. A session that ended is refused from then on.

When a browser was last used is only in memory, so that a request costs no write: after a restart the time without a
request is counted anew.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from fleetpulse.access_errors import Unauthenticated
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.model.person import Session
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.sign_in_limits import SignInLimits


class Sessions:
    """The sessions that have not ended, by id."""

    def __init__(self, *, catalog: Catalog, catalog_thread: CatalogThread, clock: Clock, limits: SignInLimits) -> None:
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._limits = limits
        self._sessions: dict[str, Session] = {}
        self._by_person: dict[str, set[str]] = {}
        self._used_at_ns: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def load(self) -> None:
        """Read them from the catalog, and end those that have expired. Blocks; for the start."""
        now_ns, expired = self._clock.now_ns(), []
        for session in self._catalog.people.sessions():
            if self._is_over(session, now_ns):
                expired.append(session.id)
            else:
                self._take(session, now_ns)
        if expired:
            self._catalog.people.end_sessions(expired)

    def _take(self, session: Session, now_ns: int) -> None:
        self._sessions[session.id] = session
        self._by_person.setdefault(session.person, set()).add(session.id)
        if session.kind == "browser":
            self._used_at_ns[session.id] = now_ns

    def replace(self, sessions: Iterable[Session]) -> None:
        """Take over those of the catalog: other nodes have begun, turned and ended some."""
        now_ns, stored = self._clock.now_ns(), {session.id: session for session in sessions}
        self._drop([session_id for session_id in self._sessions if session_id not in stored])
        for session in stored.values():
            if self._sessions.get(session.id) != session:
                self._take(session, now_ns)

    def of(self, person: str) -> list[Session]:
        """The sessions of a person, the oldest first."""
        found = [self._sessions[session_id] for session_id in self._by_person.get(person, ())]
        return sorted(found, key=lambda session: (session.started_at_ns, session.id))

    def has_address(self, person: str, address: str) -> bool:
        """Whether a person has a session that began at this address."""
        return any(session.address == address for session in self.of(person))

    def get(self, session_id: str) -> Session:
        """A session that has not ended; of a browser, its use is noted. Raises: Unauthenticated."""
        now_ns, session = self._clock.now_ns(), self._sessions.get(session_id)
        if session is None or self._is_over(session, now_ns):
            raise Unauthenticated("the session has ended: sign in again", reason="session_ended")
        if session.kind == "browser":
            self._used_at_ns[session_id] = now_ns
        return session

    def _is_over(self, session: Session, now_ns: int) -> bool:
        used_at_ns = self._used_at_ns.get(session.id, now_ns)
        return now_ns >= session.expires_at_ns or now_ns - used_at_ns > self._limits.browser_idle_s * NS_PER_S

    async def begin(self, session: Session, *, before: Callable[[], None]) -> None:
        """Begin a session; where the person has too many, the oldest ends. Raises: OutcomeUnknown; NotAccepting.

        `before` is called on the catalog's thread, before anything is written.
        """
        now_ns, sessions = self._clock.now_ns(), self.of(session.person)
        ended = [one.id for one in sessions if self._is_over(one, now_ns)]
        alive = [one.id for one in sessions if one.id not in ended]
        ended += alive[: max(0, len(alive) + 1 - self._limits.sessions_per_person_max)]

        def write() -> None:
            before()
            self._catalog.people.begin_session(session, ended=ended)

        await self._catalog_thread.run(write)
        self._drop(ended)
        self._take(session, now_ns)

    async def turn(self, session: Session, *, before: Callable[[], None]) -> Session:
        """The session with its next generation, of which the next refresh token is.

        Raises: Unauthenticated: that of `session` was used already, so two have the family, which ends.
        """

        def write() -> bool:
            before()
            return self._catalog.people.turn_session(session.id, generation=session.generation)

        if not await self._catalog_thread.run(write):
            await self.end([session.id])
            raise Unauthenticated(
                "this refresh token was used before, so somebody else may have it: all tokens of this sign-in are "
                "refused from now on; sign in again",
                reason="token_reused",
            )
        turned = replace(session, generation=session.generation + 1)
        if session.id in self._sessions:
            self._sessions[session.id] = turned
        return turned

    async def end(self, session_ids: Iterable[str]) -> None:
        """End sessions; nothing happens where there is none. Raises: OutcomeUnknown; NotAccepting."""
        ended = [session_id for session_id in session_ids if session_id in self._sessions]
        if ended:
            await self._catalog_thread.run(lambda: self._catalog.people.end_sessions(ended))
            self._drop(ended)

    def forget(self, person: str) -> None:
        """Refuse all sessions of a person, which the catalog has ended."""
        self._drop([session.id for session in self.of(person)])

    def _drop(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            session = self._sessions.pop(session_id, None)
            self._used_at_ns.pop(session_id, None)
            if session is not None:
                of_person = self._by_person[session.person]
                of_person.discard(session_id)
                if not of_person:
                    del self._by_person[session.person]
