"""Errors as answers: one shape for all of them, and no trace in any."""

import asyncio
import gc
import json
from typing import Any, cast
from weakref import ref

from litestar import Response
from litestar.datastructures import Headers
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.problems import answer_damaged, answer_defect, answer_framework, answer_refusal, forgetting
from fleetpulse.errors import Busy, DamagedData, UnknownDevice


class Request:
    """As much of a request as an answer to an error looks at."""

    method = "GET"
    headers = Headers({})

    class url:  # noqa: N801  # an attribute of the framework's
        """Where it went."""

        path = "/x"


REQUEST = cast("AnyRequest", Request())


def problem(response: Response[bytes]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == response.status_code
    return body


def test_a_refusal_has_its_status_title_and_text() -> None:
    body = problem(answer_refusal(REQUEST, UnknownDevice()))
    assert (body["status"], body["title"], body["msg"]) == (404, "Not found", "Device not found")


def test_who_is_to_wait_is_told_how_long() -> None:
    response = answer_refusal(REQUEST, Busy("too much waits", reason="events_waiting", retry_after_s=3))
    assert {name.lower(): value for name, value in response.headers.items()}["retry-after"] == "3"


def test_a_route_or_method_that_does_not_exist_points_to_those_that_do() -> None:
    assert "/docs" in problem(answer_framework(REQUEST, NotFoundException()))["msg"]
    response = answer_framework(REQUEST, MethodNotAllowedException(headers={"Allow": "POST"}))
    assert "GET is not for this route" in problem(response)["msg"]
    assert response.headers["Allow"] == "POST"


def test_damaged_data_are_named_and_a_defect_is_not_described() -> None:
    damaged = problem(answer_damaged(REQUEST, DamagedData("block b1 is damaged")))
    assert (damaged["msg"], damaged["status"]) == ("block b1 is damaged", 503)
    body = problem(answer_defect(REQUEST, KeyError("secret")))
    assert (body["status"], "secret" in json.dumps(body)) == (500, False)


def test_an_error_that_is_answered_keeps_nothing_alive_that_its_frames_refer_to() -> None:
    """As when a question is stopped: the frame waits for a future, and the future has the error."""

    class Read:
        """What a question has read."""

    def question() -> "ref[Read]":
        async def wait() -> None:
            read, future = Read(), asyncio.get_running_loop().create_future()
            known.append(ref(read))
            future.set_exception(Busy("stopped", reason="questions_busy"))
            await future

        known: list[ref[Read]] = []
        try:
            try:
                asyncio.run(wait())
            except Busy as error:
                raise UnknownDevice from error
        except UnknownDevice as error:
            assert known[0]() is not None
            forgetting(answer_refusal)(REQUEST, error)
        return known[0]

    gc.disable()
    try:
        assert question()() is None
    finally:
        gc.enable()


def test_an_error_that_is_its_own_cause_is_answered_once() -> None:
    error = UnknownDevice()
    try:
        raise error from error
    except UnknownDevice:
        assert problem(forgetting(answer_refusal)(REQUEST, error))["status"] == 404
    assert error.__traceback__ is None
