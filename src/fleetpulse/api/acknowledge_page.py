"""Acknowledging by the link of a message: it opens a page, whose button does it.

Mail scanners and chats open links by themselves, so that GET and HEAD must change nothing.
"""

from html import escape
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from litestar import Response

from fleetpulse.access_errors import Forbidden
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.parameters import query_parameter
from fleetpulse.api.request_body import whole_body
from fleetpulse.api.routes import Media, check_media, route
from fleetpulse.api.sign_in_page import FORM, PAGE_HEADERS
from fleetpulse.errors import Conflict, Malformed
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.acknowledging import Acknowledging

_HTML = Media("text/html", "a page with a button, or with what is wrong with the link", example="<!doctype html>")
_HEADERS = {**PAGE_HEADERS, "referrer-policy": "same-origin", "x-robots-tag": "noindex"}
PATH = "/alerts/acknowledge"


@route(
    f"GET {PATH}",
    group="alerts",
    operation="acknowledgePage",
    permission="open",
    scope="none",
    limit="key",
    media=(_HTML,),
    failures=dict.fromkeys((403, 409), _HTML),
    is_tagged=False,
)
async def get_acknowledge(
    acknowledging: Acknowledging, token: Annotated[str, query_parameter("of the link", examples=["e30.c2ln"])]
) -> Response[bytes]:
    """Show what the link of a message would acknowledge, with a button that does it. Changes nothing."""
    try:
        view = await acknowledging.look(token)
    except (Forbidden, Conflict) as error:
        return _page(f"<p role=alert><strong>{escape(error.msg)}</strong>", error.status)
    if not view.numbers:
        return _page("<p>Nothing is left to acknowledge: these alerts have ended.")
    listed = ", ".join(map(str, view.numbers[:20])) + (", …" if len(view.numbers) > 20 else "")
    return _page(
        f"<p>Receiver <strong>{escape(view.terms.receiver)}</strong> was told of "
        f"{count_text(len(view.numbers), 'alert')} that still fire: {listed}."
        f"<form method=post action={PATH}><input type=hidden name=token value='{escape(token)}'>"
        "<p><button>Acknowledge</button></form><p>Then nobody else is asked to take care of them."
    )


@route(
    f"POST {PATH}",
    group="alerts",
    operation="acknowledgeByLink",
    permission="open",
    scope="none",
    limit="key",
    media=(_HTML,),
    failures=dict.fromkeys((403, 409), _HTML),
    takes=Media(FORM, "the field `token`", example="token=e30.c2ln"),
)
async def post_acknowledge(request: AnyRequest, acknowledging: Acknowledging) -> Response[bytes]:
    """Acknowledge what the link of a message names. It works once."""
    check_media(request.headers, (FORM,))
    token = _token(await whole_body(request))
    try:
        count = await acknowledging.use(token)
    except (Forbidden, Conflict) as error:
        return _page(f"<p role=alert><strong>{escape(error.msg)}</strong>", error.status)
    return _page(f"<p>{count_text(count, 'alert')} acknowledged.")


def _token(body: bytes) -> str:
    try:
        return dict(parse_qsl(body.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=4))["token"]
    except (ValueError, KeyError) as error:
        raise Malformed("the form cannot be read: it has the field `token`, URL-encoded") from error


def _page(text: str, status: int = HTTPStatus.OK) -> Response[bytes]:
    return Response(_PAGE.format(text=text).encode(), status_code=status, headers=_HEADERS)


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>fleetpulse: acknowledge</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
button{{font:inherit;padding:.5rem 1rem}}
</style><h1>fleetpulse</h1>{text}</html>"""
