"""People and their sessions in the catalog. Passwords are there as argon2id hashes only, tokens not at all."""

import json
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import put_sql
from fleetpulse.model.person import Person, Session


class PersonRecord(NamedTuple):
    """A person, and the argon2id hash of the password, in its own notation, parameters and salt included."""

    person: Person
    password_hash: str


class PersonRecords(Protocol):
    """The part of a catalog that knows people. Each call is one transaction, or one read.

    Those that change something may raise OSError or DatabaseBusy: nothing was changed.
    """

    def people(self) -> list[PersonRecord]:
        """All people, by name. Raises: DamagedData."""
        ...

    def put(self, record: PersonRecord, *, ends_sessions: bool = False) -> None:
        """Add a person, or replace what is known of one. `ends_sessions`: all sessions of that person end."""
        ...

    def remove(self, name: str) -> None:
        """Remove a person with all sessions; nothing happens where there is none."""
        ...

    def sessions(self) -> list[Session]:
        """All sessions that have not ended; expired ones may be among them. Raises: DamagedData."""
        ...

    def begin_session(self, session: Session, *, ended: Iterable[str] = ()) -> None:
        """Note a new session, and end others."""
        ...

    def turn_session(self, session_id: str, *, generation: int) -> bool:
        """Let the next refresh token of a family be the valid one; False: this generation is not the valid one."""
        ...

    def end_sessions(self, session_ids: Iterable[str]) -> None:
        """End sessions; nothing happens where there is none."""
        ...

    def issuer_keys(self, url: str) -> tuple[bytes, int] | None:
        """The keys of an issuer as `keep_issuer_keys` noted them, and when they were read; None: never."""
        ...

    def keep_issuer_keys(self, url: str, body: bytes, *, at_ns: int) -> None:
        """Note the keys that an issuer told, for a start while it is away."""
        ...


class SqlPersonRecords(SqlRecords):
    """See PersonRecords; tables `person` and `session`."""

    def people(self) -> list[PersonRecord]:
        """See PersonRecords."""
        with self._reading():
            text = "SELECT name, role, scope, is_disabled, version, created_at_ns, password FROM person ORDER BY name"
            return [
                PersonRecord(
                    Person(
                        name=name,
                        role=role,
                        scope=tuple((label, value) for label, value in json.loads(scope)),
                        is_disabled=bool(is_disabled),
                        version=version,
                        created_at_ns=created_at_ns,
                    ),
                    password_hash,
                )
                for name, role, scope, is_disabled, version, created_at_ns, password_hash in self._select(text)
            ]

    def put(self, record: PersonRecord, *, ends_sessions: bool = False) -> None:
        """See PersonRecords."""
        one = record.person
        row = (one.name, one.role, json.dumps(one.scope), one.is_disabled, one.version, one.created_at_ns)
        with self._transaction() as run:
            known = run(f"SELECT {_AUDITED} FROM person WHERE name = ?", (one.name,)).fetchone()
            run(_PUT_SQL, (*row, record.password_hash))
            if ends_sessions:
                run("DELETE FROM session WHERE person = ?", (one.name,))
            before, after = _fields(known), _fields((one.role, json.dumps(one.scope), one.is_disabled))
            if known is not None and after is not None and ends_sessions and not one.is_disabled:
                after["password"] = "changed"  # noqa: S105 - what it was, and is, nobody may read
            audit_change(f"person {one.name}", before, after)

    def remove(self, name: str) -> None:
        """See PersonRecords."""
        with self._transaction() as run:
            known = run(f"SELECT {_AUDITED} FROM person WHERE name = ?", (name,)).fetchone()
            run("DELETE FROM session WHERE person = ?", (name,))
            run("DELETE FROM person WHERE name = ?", (name,))
            audit_change(f"person {name}", _fields(known), None)

    def sessions(self) -> list[Session]:
        """See PersonRecords."""
        with self._reading():
            text = "SELECT id, person, kind, generation, started_at_ns, expires_at_ns, address FROM session ORDER BY id"
            names = ("id", "person", "kind", "generation", "started_at_ns", "expires_at_ns", "address")
            return [Session(**dict(zip(names, row, strict=True))) for row in self._select(text)]

    def begin_session(self, session: Session, *, ended: Iterable[str] = ()) -> None:
        """See PersonRecords."""
        one = session
        times = (one.started_at_ns, one.expires_at_ns)
        with self._transaction() as run:
            for session_id in ended:
                run("DELETE FROM session WHERE id = ?", (session_id,))
            row = (one.id, one.person, one.kind, one.generation, *times, one.address)
            run("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            audit_change(f"session of {one.person}", None, {"kind": one.kind})

    def turn_session(self, session_id: str, *, generation: int) -> bool:
        """See PersonRecords."""
        with self._transaction() as run:
            text = "UPDATE session SET generation = generation + 1 WHERE id = ? AND generation = ?"
            return bool(run(text, (session_id, generation)).rowcount)

    def end_sessions(self, session_ids: Iterable[str]) -> None:
        """See PersonRecords."""
        with self._transaction() as run:
            for session_id in session_ids:
                row = run("SELECT person, kind FROM session WHERE id = ?", (session_id,)).fetchone()
                if row is not None:
                    run("DELETE FROM session WHERE id = ?", (session_id,))
                    audit_change(f"session of {row[0]}", {"kind": row[1]}, None)

    def issuer_keys(self, url: str) -> tuple[bytes, int] | None:
        """See PersonRecords."""
        with self._reading():
            rows = self._select("SELECT url, body, read_at_ns FROM issuer_keys")
            return next(((bytes(body), int(at_ns)) for known, body, at_ns in rows if known == url), None)

    def keep_issuer_keys(self, url: str, body: bytes, *, at_ns: int) -> None:
        """See PersonRecords."""
        with self._transaction() as run:
            run(_PUT_KEYS_SQL, (url, body, at_ns))


_PUT_SQL = put_sql("person", "name, role, scope, is_disabled, version, created_at_ns, password", key="name")
_PUT_KEYS_SQL = put_sql("issuer_keys", "url, body, read_at_ns", key="url")
_AUDITED = "role, scope, is_disabled"


def _fields(row: tuple[str, str, int] | None) -> dict[str, object] | None:
    """What the audit log says of a person."""
    if row is None:
        return None
    role, scope, is_disabled = row
    return {
        "role": role,
        "scope": [f"{name}:{value}" for name, value in json.loads(scope)],
        "is_disabled": bool(is_disabled),
    }
