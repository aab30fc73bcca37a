"""Routes about people: who may sign in, and what they may do then."""

from http import HTTPStatus
from typing import Annotated

from litestar.params import PathParameter
from msgspec import UNSET

from fleetpulse.access.gate import Gate
from fleetpulse.api.routes import route
from fleetpulse.ingest.person_declarations import NewPerson, PersonChange
from fleetpulse.ingest.scope_declarations import read_scope
from fleetpulse.model import person as model
from fleetpulse.model.person import PERSON_PATTERN
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.people import People
from fleetpulse.pipeline.sessions import Sessions
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.person_answers import People as PeopleAnswer
from fleetpulse.query.person_answers import Person, describe_person

PersonPath = Annotated[
    str,
    PathParameter(
        description="name of a person", schema_extra={"pattern": f"^{PERSON_PATTERN}$", "examples": ["alice"]}
    ),
]
OPEN_NOTE = (
    "nobody needs a key or a sign-in yet: make the first key (`fleetpulse keys add --role admin --yes`), or start the "
    "service with --auth required"
)


@route("GET /api/v1/users", group="access", operation="listPeople", permission="admin", scope="whole", limit="key")
async def get_people(people: People, sessions: Sessions) -> PeopleAnswer:
    """List the people who may sign in."""
    return PeopleAnswer([_described(person, sessions) for person in people.all()])


@route(
    "POST /api/v1/users",
    group="access",
    operation="addPerson",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(409, 422),
    status=HTTPStatus.CREATED,
)
async def post_person(people: People, sessions: Sessions, gate: Gate, payload: NewPerson) -> Person:
    """Let a person sign in.

    A person with a scope sees, and changes, the devices that have its labels, and no others.
    """
    scope = read_scope(payload.scope, reason="person")
    person = await people.add(payload.name, role=payload.role, scope=scope, password=payload.password)
    return _described(person, sessions, [] if gate.is_protected else [OPEN_NOTE])


@route(
    "PATCH /api/v1/users/{person:str}",
    group="access",
    operation="changePerson",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def patch_person(people: People, sessions: Sessions, person: PersonPath, payload: PersonChange) -> Person:
    """Change a person; a field that is not given stays.

    Role and scope are in force at once. A new password, and being disabled, end all sessions of the person.
    """
    changed = await people.change(
        person,
        role=None if payload.role is UNSET else payload.role,
        scope=None if payload.scope is UNSET else read_scope(payload.scope, reason="person"),
        password=None if payload.password is UNSET else payload.password,
        is_disabled=None if payload.is_disabled is UNSET else payload.is_disabled,
    )
    return _described(changed, sessions)


@route(
    "DELETE /api/v1/users/{person:str}",
    group="access",
    operation="removePerson",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404,),
)
async def delete_person(people: People, sessions: Sessions, person: PersonPath) -> Message:
    """Let a person sign in no more, and end all their sessions."""
    ended = len(sessions.of(person))
    removed = await people.remove(person)
    return Message(f"{removed.name} is removed, and {count_text(ended, 'session')} ended")


def _described(person: model.Person, sessions: Sessions, notes: list[str] | None = None) -> Person:
    return describe_person(person, sessions=len(sessions.of(person.name)), notes=notes)
