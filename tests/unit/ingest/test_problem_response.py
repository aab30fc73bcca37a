import json

from fleetpulse.errors import Busy, Malformed, UnknownDevice
from fleetpulse.ingest.problem_response import problem_response
from fleetpulse.ingest.security_headers import POLICY


def split(response: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line, headers, body


def test_an_error_is_an_answer_with_the_msg_of_the_contract_and_the_fields_of_rfc_9457() -> None:
    line, headers, body = split(problem_response(UnknownDevice(), headers=[(b"date", b"today")], is_last=False))
    assert line == b"HTTP/1.1 404 Not Found"
    length = b"content-length: %d" % len(body)
    assert headers == [b"date: today", b"content-type: application/json", length, b"vary: Accept", b": ".join(POLICY)]
    assert json.loads(body) == {
        "msg": "Device not found",
        "type": "urn:fleetpulse:problem:unknown_device",
        "title": "Not found",
        "status": 404,
        "detail": "Device not found",
    }


def test_a_client_that_names_problems_gets_their_type_with_the_same_body() -> None:
    plain = problem_response(Malformed("no"), headers=[], is_last=False)
    named = problem_response(Malformed("no"), headers=[], is_last=False, accept="application/problem+json")
    assert named == plain.replace(b"application/json", b"application/problem+json")


def test_a_sender_that_must_wait_is_told_how_long_and_one_that_is_closed_is_told_so() -> None:
    busy = problem_response(Busy("later", reason="events_waiting", retry_after_s=7), headers=[], is_last=False)
    assert b"retry-after: 7" in split(busy)[1]
    last = problem_response(Malformed("no"), headers=[], is_last=True)
    assert split(last)[1][-1] == b"connection: close"


def test_a_text_from_a_request_cannot_end_the_header() -> None:
    _, headers, body = split(problem_response(Malformed("a\r\n\r\nb \u2028 é"), headers=[], is_last=False))
    assert b"content-length: %d" % len(body) in headers
    assert json.loads(body)["msg"] == "a\r\n\r\nb \u2028 é"
