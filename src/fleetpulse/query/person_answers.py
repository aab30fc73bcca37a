"""Answers about people, and to those who sign in; `query.answers` says how shapes are declared."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from fleetpulse.ingest.person_declarations import PersonName
from fleetpulse.ingest.scope_declarations import ScopeTexts, scope_texts
from fleetpulse.model import person as model
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, Notes, Time


class Person(Struct, kw_only=True):
    """Somebody who may sign in."""

    name: PersonName
    role: Annotated[model.PersonRole, Meta(examples=["read"])]
    scope: ScopeTexts
    is_disabled: Annotated[bool, Meta(description="whether they cannot sign in")]
    created_at: Time
    sessions: Annotated[Count, Meta(description="sign-ins that have not ended", examples=[1])]
    notes: Notes = []


class People(Struct):
    """Everybody who may sign in, by name."""

    people: list[Person]


class Tokens(Struct, kw_only=True):
    """What a person shows from now on."""

    access_token: Annotated[
        str, Meta(description="for `Authorization: Bearer`", examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.8f"])
    ]
    token_type: Annotated[Literal["Bearer"], Meta(examples=["Bearer"])] = "Bearer"  # noqa: S105 - a word of OAuth
    expires_at: Annotated[Time, Meta(description="until when the access token is valid")]
    refresh_token: Annotated[
        str,
        Meta(
            description="for `POST /api/v1/refresh`, once: showing it a second time ends the session",
            examples=["fpr_0123456789abcdef0123456789abcdef_0_8f…"],
        ),
    ]
    refresh_expires_at: Annotated[Time, Meta(description="until when the person need not sign in again")]
    name: PersonName
    role: Annotated[model.PersonRole, Meta(examples=["read"])]
    scope: ScopeTexts


def describe_person(person: model.Person, *, sessions: int, notes: list[str] | None = None) -> Person:
    """A person as an answer."""
    return Person(
        name=person.name,
        role=person.role,
        scope=scope_texts(person.scope),
        is_disabled=person.is_disabled,
        created_at=format_rfc3339(person.created_at_ns),
        sessions=sessions,
        notes=notes or [],
    )


def describe_tokens(
    person: model.Person, *, access_token: str, expires_at_ns: int, refresh_token: str, refresh_expires_at_ns: int
) -> Tokens:
    """Tokens as an answer."""
    return Tokens(
        access_token=access_token,
        expires_at=format_rfc3339(expires_at_ns),
        refresh_token=refresh_token,
        refresh_expires_at=format_rfc3339(refresh_expires_at_ns),
        name=person.name,
        role=person.role,
        scope=scope_texts(person.scope),
    )
