"""Routes to sign in and out over HTTP, for programs and commands; browsers have a page, see `sign_in_page.py`."""

from fleetpulse.access.credentials import shown_in
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.api.admission import client_address, principal_of
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.routes import route
from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.person_declarations import Credentials, PasswordChange, RefreshToken
from fleetpulse.model.access import Principal
from fleetpulse.model.person import Session
from fleetpulse.pipeline.sign_in import SignIn
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.person_answers import Tokens, describe_tokens


def read_address(request: AnyRequest) -> str:
    """From where a request comes."""
    return client_address(request)


@route(
    "POST /api/v1/login",
    group="access",
    operation="login",
    permission="open",
    scope="none",
    limit="login",
    headers={b"cache-control": b"no-store"},
    refusals=(401, 429),
    readers={"address": read_address},
)
async def post_login(sign_in: SignIn, address: str, payload: Credentials) -> Tokens:
    """Sign in with a name and a password.

    The access token is shown with each request; it is valid for minutes. The refresh token gives the next one, once.
    """
    return _described(sign_in, await sign_in.login(payload.name, payload.password, address=address))


@route(
    "POST /api/v1/refresh",
    group="access",
    operation="refresh",
    permission="open",
    scope="none",
    limit="login",
    headers={b"cache-control": b"no-store"},
    refusals=(401,),
)
async def post_refresh(sign_in: SignIn, payload: RefreshToken) -> Tokens:
    """Get the next access token, and the next refresh token.

    A refresh token that is shown a second time ends the session, since two have it. Where no answer came, sign in
    again.
    """
    return _described(sign_in, await sign_in.refresh(payload.refresh_token))


@route(
    "POST /api/v1/logout",
    group="access",
    operation="logout",
    permission="open",
    scope="none",
    limit="login",
    refusals=(401,),
)
async def post_logout(request: AnyRequest, sign_in: SignIn, payload: RefreshToken | None = None) -> Message:
    """End the session of a refresh token, or, without a body, of the access token in Authorization."""
    shown = shown_in(request.scope["headers"])
    if payload is None and not shown.token:
        raise Unauthenticated("show the refresh token in the body, or the access token", reason="no_key")
    await sign_in.end(refresh_token=payload.refresh_token if payload else "", access_token=shown.token)
    return Message("signed out: tokens of this sign-in are refused from now on")


@route(
    "POST /api/v1/password",
    group="access",
    operation="changePassword",
    permission="read",
    scope="none",
    limit="login",
    refusals=(401, 422, 429),
    readers={"address": read_address, "principal": principal_of},
)
async def post_password(sign_in: SignIn, principal: Principal | None, address: str, payload: PasswordChange) -> Message:
    """Change the own password; all sessions end."""
    if principal is None or principal.kind != "person":
        raise OutOfRange("only a person who signed in here has a password to change", reason="person")
    await sign_in.change_password(principal.name, payload.password, payload.new_password, address=address)
    return Message("the password is changed, and all sessions ended: sign in with the new one")


def _described(sign_in: SignIn, session: Session) -> Tokens:
    tokens = sign_in.tokens(session)
    return describe_tokens(
        tokens.person,
        access_token=tokens.access_token,
        expires_at_ns=tokens.expires_at_ns,
        refresh_token=tokens.refresh_token,
        refresh_expires_at_ns=tokens.refresh_expires_at_ns,
    )
