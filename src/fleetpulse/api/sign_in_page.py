"""Signing in and out with a browser: a page with a form, and the cookie of a session. There are no scripts.

What keeps other web pages from acting for a person who signed in:

    SameSite=Strict    a browser does not send the cookie with what another site asks for
    check_session      a request with the cookie that may change something must come from a page of ours, see origins.py
    HttpOnly, Secure   no script can read the cookie, and over TLS it is sent over TLS only, by the name `__Host-…`,
                       which no other host of the domain can set
"""

from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from litestar import Response

from fleetpulse.access.credentials import HOST_COOKIE, SESSION_COOKIE, shown_in
from fleetpulse.access.gate import Gate
from fleetpulse.access_errors import TooManyRequests, Unauthenticated
from fleetpulse.api.admission import attempt_of, principal_of
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.docs_page import HTML_HEADERS
from fleetpulse.api.request_body import whole_body
from fleetpulse.api.routes import Media, check_media, route
from fleetpulse.api.sign_in import read_address
from fleetpulse.errors import Answerable, Busy, Malformed, NotAccepting, OutcomeUnknown
from fleetpulse.ingest.problem_response import problem_headers
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.sign_in import SignIn

FORM = "application/x-www-form-urlencoded"
PAGE_HEADERS = {
    **HTML_HEADERS,
    "content-security-policy": HTML_HEADERS["content-security-policy"].replace(
        "form-action 'none'", "form-action 'self'"
    ),
    "cache-control": "no-store",
}
_HTML = Media("text/html", "a page with a form", example="<!doctype html>")


@route(
    "GET /sign-in",
    group="service",
    operation="signInPage",
    permission="open",
    scope="none",
    limit="key",
    media=(_HTML,),
    readers={"principal": principal_of},
)
async def get_sign_in(principal: Principal | None, gate: Gate) -> Response[bytes]:
    """Show a page to sign in with a browser."""
    if not gate.is_protected:
        return _page("<p>Nobody needs to sign in here: the service is open.")
    return _page(sign_in_form() if principal is None else who_text(principal))


@route(
    "POST /sign-in",
    group="access",
    operation="signIn",
    permission="open",
    scope="none",
    limit="login",
    failures=dict.fromkeys((401, 429, 503), _HTML),
    status=HTTPStatus.SEE_OTHER,
    takes=Media(FORM, "the fields `name` and `password`", example="name=alice&password=seven+lathes+hum+at+dawn"),
    readers={"address": read_address},
)
async def post_sign_in(request: AnyRequest, address: str, sign_in: SignIn, audit_log: AuditLog) -> Response[bytes]:
    """Sign in with a browser: a cookie, and the way to `/`; or the page with what was wrong."""
    check_media(request.headers, (FORM,))
    fields = _fields(await whole_body(request))
    try:
        session = await sign_in.login(
            fields.get("name", "").strip(), fields.get("password", ""), address=address, kind="browser"
        )
        await _end_shown(request, sign_in)
    except (Unauthenticated, TooManyRequests, Busy, NotAccepting, OutcomeUnknown) as error:
        audit_log.watch(error, attempt_of(request))
        return _page(sign_in_form(error), error)
    return _to_front_page(request, sign_in.cookie(session), max_age_s=sign_in.browser_session_s)


@route(
    "POST /sign-out",
    group="access",
    operation="signOut",
    permission="open",
    scope="none",
    limit="key",
    status=HTTPStatus.SEE_OTHER,
)
async def post_sign_out(request: AnyRequest, sign_in: SignIn) -> Response[bytes]:
    """Sign out with a browser: the session of the cookie ends, and the cookie is taken back."""
    await _end_shown(request, sign_in)
    return _to_front_page(request, "", max_age_s=0)


async def _end_shown(request: AnyRequest, sign_in: SignIn) -> None:
    """End the session that the browser had until now."""
    session = shown_in(request.scope["headers"]).session
    if session:
        try:
            await sign_in.end(cookie=session)
        except Unauthenticated:
            return  # it is none of ours, or its key is gone


def who_text(principal: Principal | None) -> str:
    """Who is signed in, with a button to sign out; or where to sign in."""
    if principal is None:
        return '<p><a href="/sign-in">Sign in</a>'
    scope = ", ".join(f"{name}:{value}" for name, value in principal.scope) or "all devices"
    return (
        f"<form method=post action=/sign-out><p>Signed in as <strong>{escape(principal.name)}</strong> "
        f"({escape(principal.role)}, {escape(scope)}) <button>Sign out</button></form>"
    )


def sign_in_form(error: Answerable | None = None) -> str:
    """The form to sign in, with what was wrong before."""
    wrong = "" if error is None else f"<p role=alert><strong>{escape(error.msg)}</strong>"
    return (
        f"{wrong}<form method=post action=/sign-in>"
        "<p><label>Name <input name=name autocomplete=username autocapitalize=none required maxlength=64></label>"
        "<p><label>Password <input name=password type=password autocomplete=current-password required></label>"
        "<p><button>Sign in</button></form>"
    )


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=8))
    except ValueError as error:
        raise Malformed("the form cannot be read: it has the fields `name` and `password`, URL-encoded") from error


def _to_front_page(request: AnyRequest, cookie: str, *, max_age_s: int) -> Response[bytes]:
    is_https = request.scope.get("scheme") == "https"
    name, secure = (HOST_COOKIE, "; Secure") if is_https else (SESSION_COOKIE, "")
    value = f"{name}={cookie}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    headers = {**PAGE_HEADERS, "location": "/", "set-cookie": value}
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers=headers)


def _page(text: str, error: Answerable | None = None) -> Response[bytes]:
    headers: dict[str, Any] = dict(PAGE_HEADERS)
    if error is not None:
        headers |= {name.decode(): value.decode() for name, value in problem_headers(error)}
    status = HTTPStatus.OK if error is None else error.status
    return Response(_PAGE.format(text=text).encode(), status_code=status, headers=headers)


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>fleetpulse: sign in</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
label{{display:block}} input{{display:block;width:100%;font:inherit}} button{{font:inherit}}
</style><h1>fleetpulse</h1>{text}<p><a href="/">The fleet</a></html>"""
