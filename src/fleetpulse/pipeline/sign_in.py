"""Signing in and out, and who asks by what that gave: an access token, or the cookie of a browser."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

from fleetpulse.access.login_throttle import LoginThrottle
from fleetpulse.access.passwords import is_outdated
from fleetpulse.access.tokens import (
    AccessClaims,
    make_access_token,
    make_cookie,
    make_refresh_token,
    read_access_token,
    read_cookie,
    read_refresh_token,
)
from fleetpulse.access_errors import TooManyRequests, Unauthenticated
from fleetpulse.catalog.person_records import PersonRecord
from fleetpulse.clock import Clock
from fleetpulse.errors import Busy
from fleetpulse.model.access import Principal
from fleetpulse.model.person import PASSWORD_CHARS_MAX, Person, Session
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.people import People
from fleetpulse.pipeline.sessions import Sessions
from fleetpulse.pipeline.token_key_file import TokenKeyFile
from fleetpulse.sign_in_limits import SignInLimits
from fleetpulse.telemetry.counters import Counters


class Tokens(NamedTuple):
    """What a person shows from now on; times in nanoseconds since 1970."""

    person: Person
    access_token: str
    expires_at_ns: int
    refresh_token: str
    refresh_expires_at_ns: int


class SignIn:
    """Lets people sign in and out, and knows them again."""

    def __init__(
        self,
        *,
        clock: Clock,
        people: People,
        sessions: Sessions,
        key_file: TokenKeyFile,
        throttle: LoginThrottle,
        limits: SignInLimits,
        counters: Counters,
    ) -> None:
        self._clock = clock
        self._people = people
        self._sessions = sessions
        self._key_file = key_file
        self._throttle = throttle
        self._limits = limits
        self._counters = counters

    @property
    def browser_session_s(self) -> int:
        """How long the session of a browser lasts at most."""
        return self._limits.browser_session_s

    def load(self) -> None:
        """Read people, sessions and keys. Blocks; for the start."""
        self._people.load()
        self._sessions.load()
        self._key_file.load()

    async def login(
        self, name: str, password: str, *, address: str, kind: Literal["browser", "program"] = "program"
    ) -> Session:
        """Begin a session of a person.

        Raises: Unauthenticated: there is no such person, or it is not their password; which of these, nobody learns.
            TooManyRequests; Busy; OutcomeUnknown; NotAccepting.
        """
        try:
            session = await self._login(name.lower(), password, address=address, kind=kind)
        except (Unauthenticated, TooManyRequests, Busy) as error:
            self._counters.logins[error.reason] += 1
            if not isinstance(error, Unauthenticated):
                await self.hold_back()
            raise
        self._counters.logins["signed_in"] += 1
        return session

    async def hold_back(self) -> None:
        """Let a client that is above a limit wait for its answer.

        Who floods over many connections sends the next try when the last one is answered, and each costs the event loop
        more than it costs them. So a flood of a thousand connections is a thousand tries a second and not all there is.
        """
        await asyncio.sleep(self._limits.login_refusal_s)

    async def _login(self, name: str, password: str, *, address: str, kind: Literal["browser", "program"]) -> Session:
        record, give_back = await self._checked(name, password, address=address)
        new_hash = await self._people.hashed(password) if is_outdated(record.password_hash) else None
        async with self._people.changing:
            now = self._people.record(name)
            if now is None or now.person.is_disabled or now.person.version != record.person.version:
                raise _wrong_password()
            if new_hash is not None:
                await self._people.rehash(name, new_hash)
            now_ns = self._clock.now_ns()
            length_s = self._limits.browser_session_s if kind == "browser" else self._limits.refresh_token_s
            session = Session(
                id=secrets.token_hex(16),
                person=name,
                kind=kind,
                generation=0,
                started_at_ns=now_ns,
                expires_at_ns=now_ns + length_s * NS_PER_S,
                address=address,
            )
            await self._sessions.begin(session, before=partial(self._key_file.renew, now_ns // NS_PER_S))
        give_back()
        return session

    async def _checked(self, name: str, password: str, *, address: str) -> tuple[PersonRecord, Callable[[], None]]:
        """Who has this name and password, and what takes the try back. Raises: as `login`."""
        is_known = self._sessions.has_address(name, address)
        give_back = self._throttle.take(name[:100], address, is_known=is_known)
        record = self._people.record(name)
        try:
            is_right = await self._people.verify(record, password[:PASSWORD_CHARS_MAX])
        except Busy:
            give_back()
            raise
        if record is None or not is_right or len(password) > PASSWORD_CHARS_MAX:
            raise _wrong_password()
        return record, give_back

    async def change_password(self, name: str, password: str, new_password: str, *, address: str) -> None:
        """Give a person who knows the present password a new one, and end all their sessions.

        Raises: as `login`; OutOfRange: the new one is no good.
        """
        _, give_back = await self._checked(name, password, address=address)
        give_back()
        await self._people.change(name, password=new_password)

    def tokens(self, session: Session) -> Tokens:
        """Access and refresh token of a session that has just begun, or turned."""
        person, keys, now_ns = self._people.get(session.person), self._key_file.keys, self._clock.now_ns()
        now_s = now_ns // NS_PER_S
        expires_at_s = min(now_s + self._limits.access_token_s, session.expires_at_ns // NS_PER_S)
        claims = AccessClaims(person.name, session.id, person.version)
        return Tokens(
            person=person,
            access_token=make_access_token(claims, keys=keys, now_s=now_s, expires_at_s=expires_at_s),
            expires_at_ns=expires_at_s * NS_PER_S,
            refresh_token=make_refresh_token(session.id, session.generation, keys=keys),
            refresh_expires_at_ns=session.expires_at_ns,
        )

    def cookie(self, session: Session) -> str:
        """The value of the cookie of a session."""
        return make_cookie(session.id, keys=self._key_file.keys)

    async def refresh(self, token: str) -> Session:
        """The session of a refresh token, with its next generation.

        Raises: Unauthenticated: the token is wrong, or was used before, which ends the session. OutcomeUnknown: sign in
            again, since the token may count as used; NotAccepting.
        """
        session_id, generation = read_refresh_token(token, keys=self._key_file.keys)
        async with self._people.changing:
            session = self._sessions.get(session_id)
            self._person_of(session)
            shown = replace(session, generation=generation)
            now_s = self._clock.now_ns() // NS_PER_S
            return await self._sessions.turn(shown, before=partial(self._key_file.renew, now_s))

    def _person_of(self, session: Session) -> Person:
        record = self._people.record(session.person)
        if record is None or record.person.is_disabled:
            raise Unauthenticated("the session has ended: sign in again", reason="session_ended")
        return record.person

    async def verify_token(self, token: str) -> Principal:
        """Who shows an access token of ours. Raises: Unauthenticated."""
        return self._principal(token)

    def _principal(self, token: str) -> Principal:
        claims = read_access_token(token, keys=self._key_file.keys, now_s=self._clock.now_ns() / NS_PER_S)
        session = self._sessions.get(claims.session)
        person = self._person_of(session)
        if person.name != claims.person or person.version != claims.version:
            raise Unauthenticated("the session has ended: sign in again", reason="session_ended")
        return person.principal

    async def verify_session(self, cookie: str) -> Principal:
        """Who shows the cookie of a browser. Raises: Unauthenticated."""
        session = self._sessions.get(read_cookie(cookie, keys=self._key_file.keys))
        return self._person_of(session).principal

    async def end(self, *, refresh_token: str = "", access_token: str = "", cookie: str = "") -> None:
        """End the session of what is shown; nothing happens where it has ended.

        Raises: Unauthenticated: we did not give it out. OutcomeUnknown; NotAccepting.
        """
        keys = self._key_file.keys
        if refresh_token:
            session_id = read_refresh_token(refresh_token, keys=keys)[0]
        elif cookie:
            session_id = read_cookie(cookie, keys=keys)
        else:
            session_id = read_access_token(access_token, keys=keys, now_s=self._clock.now_ns() / NS_PER_S).session
        await self._sessions.end([session_id])


def _wrong_password() -> Unauthenticated:
    return Unauthenticated("the name or the password is wrong", reason="wrong_password")
