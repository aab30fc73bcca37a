from fleetpulse.errors import UnknownDevice
from fleetpulse.ingest.problem_response import problem_headers
from fleetpulse.ingest.security_headers import POLICY, constant_headers
from stub_transport import StubServer


def test_browsers_are_told_to_use_https_only_where_it_is_there() -> None:
    assert "strict-transport-security" not in dict(constant_headers())
    assert dict(constant_headers(hsts_s=9))["strict-transport-security"] == "max-age=9"


def test_an_answer_of_the_front_door_has_the_policy_of_what_is_no_page() -> None:
    server = StubServer()
    assert b"\r\ncontent-security-policy: default-src 'none'" in server.door.no_content(server.state)
    assert POLICY in problem_headers(UnknownDevice())
