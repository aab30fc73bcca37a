"""What the links of the cluster's tests do to connections."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from links import Links


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets, and says `end` when its client has ended."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                connection.sendall(data)
            connection.sendall(b"end")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


@pytest.fixture
def links() -> Iterator[Links]:
    with Links() as links:
        yield links


def connect(links: Links, echo: int) -> socket.socket:
    port = links.ports.get("one-two") or links.open("one-two", to=echo)
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def test_bytes_pass_whole_and_so_does_an_end(links: Links, echo: int) -> None:
    with connect(links, echo) as connection:
        body = bytes(range(256)) * 4_000
        threading.Thread(target=connection.sendall, args=(body,)).start()
        got = b""
        while len(got) < len(body):
            got += connection.recv(65_536)
        assert got == body
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b"end"
        assert connection.recv(10) == b""


def test_a_cut_resets_what_is_there_and_what_is_new(links: Links, echo: int) -> None:
    with connect(links, echo) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert links.set("one-two", "cut") == 2
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionResetError), connect(links, echo) as connection:
        connection.recv(1)
    links.set("one-two", "pass")
    with connect(links, echo) as connection:
        connection.sendall(b"y")
        assert connection.recv(1) == b"y"


def test_a_hanging_link_carries_nothing_and_goes_on_where_it_was(links: Links, echo: int) -> None:
    with connect(links, echo) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        links.set("one-two", "hang")
        connection.sendall(b"y")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with connect(links, echo) as other:  # which waits, too
            other.sendall(b"z")
            other.settimeout(0.2)
            with pytest.raises(TimeoutError):
                other.recv(1)
            links.set("one-two", "pass")
            connection.settimeout(5)
            other.settimeout(5)
            assert (connection.recv(1), other.recv(1)) == (b"y", b"z")


def test_a_delay_holds_bytes_and_keeps_their_order(links: Links, echo: int) -> None:
    with connect(links, echo) as connection:
        links.set("one-two", "delay", 0.2)
        began_s = time.monotonic()
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert time.monotonic() - began_s > 0.39  # there and back
        connection.sendall(b"1")
        time.sleep(0.05)
        links.set("one-two", "pass")
        connection.sendall(b"2")
        got = connection.recv(1)
        assert got + connection.recv(1) == b"12"


def test_a_half_closed_link_still_carries_answers(links: Links, echo: int) -> None:
    with connect(links, echo) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        links.set("one-two", "half")
        assert connection.recv(10) == b"end"
        with connect(links, echo) as other:
            other.sendall(b"z")
            assert other.recv(1) == b"z"


def test_the_links_of_a_member_are_those_that_name_it(links: Links, echo: int) -> None:
    for name in ("node1-nats1", "node1-nats2", "balancer-node1", "node2-nats1"):
        links.open(name, to=echo)
    assert set(links.of("node1")) == {"node1-nats1", "node1-nats2", "balancer-node1"}
    assert set(links.of("nats1")) == {"node1-nats1", "node2-nats1"}
