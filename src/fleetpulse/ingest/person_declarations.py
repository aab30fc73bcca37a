"""People, and how they sign in, over HTTP: JSON bodies."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fleetpulse.ingest.scope_declarations import ScopeTexts
from fleetpulse.model.person import PASSWORD_CHARS_MAX, PERSON_PATTERN, PERSON_RULE, PersonRole

PersonName = Annotated[
    str, Meta(description=PERSON_RULE, examples=["alice"], extra_json_schema={"pattern": f"^{PERSON_PATTERN}$"})
]
PasswordText = Annotated[
    str,
    Meta(
        description="at least `password_chars_least` characters",
        examples=["seven lathes hum at dawn"],
        extra_json_schema={"maxLength": PASSWORD_CHARS_MAX},
    ),
]


class NewPerson(msgspec.Struct, forbid_unknown_fields=True):
    """A person to let sign in."""

    name: PersonName
    role: Annotated[PersonRole, Meta(examples=["read"])]
    password: PasswordText
    scope: ScopeTexts = []


class PersonChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a person; a field that is left out stays as it is."""

    role: Annotated[PersonRole | UnsetType, Meta(examples=["operate"])] = UNSET
    scope: ScopeTexts | UnsetType = UNSET
    password: PasswordText | UnsetType = UNSET
    is_disabled: Annotated[bool | UnsetType, Meta(description="true: they cannot sign in")] = UNSET


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Who signs in."""

    name: Annotated[str, Meta(examples=["alice"])]
    password: Annotated[str, Meta(examples=["seven lathes hum at dawn"])]


class RefreshToken(msgspec.Struct, forbid_unknown_fields=True):
    """The refresh token of the last sign-in or refresh."""

    refresh_token: Annotated[str, Meta(examples=["fpr_0123456789abcdef0123456789abcdef_0_8f…"])]


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True):
    """A new password of whoever asks."""

    password: Annotated[str, Meta(description="the present one", examples=["seven lathes hum at dawn"])]
    new_password: PasswordText
