from fleetpulse.ingest.security_headers import POLICY
from stub_transport import StubServer


def test_the_answer_204_has_the_headers_of_the_server_also_after_they_changed() -> None:
    server = StubServer()
    assert server.door.no_content(server.state) == b"HTTP/1.1 204 No Content\r\nserver: stub\r\n%b: %b\r\n\r\n" % POLICY
    server.state.default_headers = [(b"date", b"now")]
    assert server.door.no_content(server.state) == b"HTTP/1.1 204 No Content\r\ndate: now\r\n%b: %b\r\n\r\n" % POLICY


def test_the_answer_204_names_the_position_that_is_shown_last() -> None:
    server = StubServer()
    server.door.show_position(7)
    assert b"\r\nfleetpulse-position: 7\r\n" in server.door.no_content(server.state)
    server.door.show_position(8)
    assert b"\r\nfleetpulse-position: 8\r\n" in server.door.no_content(server.state)
