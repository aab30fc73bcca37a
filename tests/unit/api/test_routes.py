"""How a route is declared: what its signature and docstring say becomes part of the document."""

import msgspec
import pytest
from litestar.datastructures import Headers
from litestar.testing import create_test_client

from fleetpulse.api.problems import answer_refusal
from fleetpulse.api.routes import check_media, route
from fleetpulse.errors import Answerable, UnsupportedMedia


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    size: int


class Answer(msgspec.Struct):
    """An answer."""

    size: int


@route(
    "POST /things",
    group="devices",
    operation="addThing",
    permission="operate",
    scope="none",
    limit="key",
    refusals=(409,),
    status=201,
)
async def add_thing(payload: Body) -> Answer:
    """Add a thing.

    It grows by one.
    """
    return Answer(payload.size + 1)


@route("POST /things/grow", group="devices", operation="growThing", permission="operate", scope="none", limit="key")
async def grow_thing(payload: Body | None) -> Answer:
    """Grow a thing; without a body, as it likes."""
    return Answer(payload.size if payload else 1)


def test_summary_description_body_and_answer_come_from_the_handler() -> None:
    handler = add_thing.handler({})
    assert (handler.summary, handler.description) == ("Add a thing", "It grows by one.")
    facts = add_thing.facts
    assert (facts.answer, facts.takes, facts.is_body_required, facts.status) == (Answer, Body, True, 201)
    assert facts.refusals == (409, 413, 415, 422)
    assert not grow_thing.facts.is_body_required


def test_a_body_is_decoded_strictly_and_may_be_left_out_where_it_is_optional() -> None:
    handlers = [add_thing.handler({}), grow_thing.handler({})]
    with create_test_client(handlers, exception_handlers={Answerable: answer_refusal}) as client:
        assert client.post("/things", content=b'{"size": 2}').json() == {"size": 3}
        assert client.post("/things/grow", content=b"").json() == {"size": 1}
        assert client.post("/things/grow", content=b" ").status_code == 400
        assert client.post("/things/grow", content=iter([b""])).status_code == 400
        refused = client.post("/things", content=b'{"size": "2", "more": 1}')
        assert (refused.status_code, "expected size" in refused.json()["msg"]) == (400, True)
        assert client.post("/things", content=b"").status_code == 400


def test_a_body_must_be_json_and_not_compressed() -> None:
    check_media(Headers({"content-type": "application/json; charset=utf-8", "content-encoding": "identity"}))
    check_media(Headers({}))
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        with pytest.raises(UnsupportedMedia):
            check_media(Headers(headers))
