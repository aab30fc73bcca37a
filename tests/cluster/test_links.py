"""The process of the links does what a test says, and knows whose links they are."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from links import Links


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                connection.sendall(data)

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


def says(port: int, word: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(word)
        return connection.recv(len(word))


def test_a_link_carries_until_it_is_cut_and_again_when_it_is_mended(echo: int) -> None:
    with Links() as links:
        one, other = links.to(echo, "node1-nats1"), links.to(echo, "node2-nats1")
        assert (says(one.port, b"x"), says(other.port, b"y")) == (b"x", b"y")
        one.cut()
        with pytest.raises(ConnectionError):
            says(one.port, b"x")
        assert says(other.port, b"y") == b"y"
        one.mend()
        assert says(one.port, b"x") == b"x"
        one.hold()
        with socket.create_connection(("127.0.0.1", one.port), timeout=0.3) as connection:
            connection.sendall(b"x")
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_the_links_of_a_member_are_those_that_name_it(echo: int) -> None:
    with Links() as links:
        made = {name: links.to(echo, name) for name in ("node1-nats1", "node1-nats2", "balancer-node1", "node2-nats1")}
        assert links.of("node1") == [made["node1-nats1"], made["node1-nats2"], made["balancer-node1"]]
        assert links.of("nats1") == [made["node1-nats1"], made["node2-nats1"]]
        assert links.of("node1", "nats") == [made["node1-nats1"], made["node1-nats2"]]
