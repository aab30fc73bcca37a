"""The proxy between processes does to a link what its calls say."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tcp_proxy import TcpProxies, TcpProxy


class Echo:
    """Sends back what it gets, with END where the other side has ended its way."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.got = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                self.got += data
                connection.sendall(data)
            connection.sendall(b"END")


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def link(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxies() as proxies:
        yield proxies.to(echo.port)


def connect(link: TcpProxy, *, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=timeout_s)


def exactly(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (data := connection.recv(count - len(got))):
        got += data
    return got


def test_what_is_sent_passes_in_both_ways_also_much_of_it(link: TcpProxy) -> None:
    body = bytes(range(256)) * 40_000
    with connect(link) as connection:
        threading.Thread(target=connection.sendall, args=(body,), daemon=True).start()
        assert exactly(connection, len(body)) == body
        connection.shutdown(socket.SHUT_WR)
        assert exactly(connection, 9) == b"END"
    assert link.bytes_passed == {"there": len(body), "back": len(body) + 3}


def test_a_cut_link_resets_and_refuses_until_it_is_mended(link: TcpProxy) -> None:
    connection = connect(link)
    connection.sendall(b"one")
    assert exactly(connection, 3) == b"one"
    link.cut()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        connect(link)
    link.mend()
    with connect(link) as again:
        again.sendall(b"two")
        assert exactly(again, 3) == b"two"


def test_a_link_that_refuses_leaves_the_connections_that_are_there(link: TcpProxy) -> None:
    with connect(link) as connection:
        connection.sendall(b"one")
        assert exactly(connection, 3) == b"one"
        link.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(link)
        connection.sendall(b"two")
        assert exactly(connection, 3) == b"two"


def test_what_is_held_arrives_when_the_link_is_mended_or_never(link: TcpProxy, echo: Echo) -> None:
    with connect(link) as connection:
        link.hold("back")
        connection.sendall(b"one")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert echo.got == b"one"  # the server has it, and its answer is lost
        link.mend()
        connection.settimeout(10)
        assert exactly(connection, 3) == b"one"
        link.hold()
        connection.sendall(b"two")
        link.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    link.mend()
    assert echo.got == b"one"


def test_a_delay_counts_for_each_way(link: TcpProxy) -> None:
    link.delay(0.15)
    with connect(link) as connection:
        began_s = time.monotonic()
        for part in (b"a", b"b", b"c"):
            connection.sendall(part)
        assert exactly(connection, 3) == b"abc"
        assert 0.29 < time.monotonic() - began_s < 2


def test_a_half_closed_link_ends_one_way_only(link: TcpProxy, echo: Echo) -> None:
    with connect(link) as connection:
        connection.sendall(b"one")
        assert exactly(connection, 3) == b"one"
        link.half_close()
        connection.sendall(b"two")  # its sender does not know that it leads nowhere
        assert exactly(connection, 9) == b"END"
    assert echo.got == b"one"


def test_a_server_that_is_not_there_resets(link: TcpProxy, echo: Echo) -> None:
    echo.close()
    # The reset may come before `connect` has returned.
    with TcpProxies() as proxies, pytest.raises(ConnectionResetError), connect(proxies.to(echo.port)) as connection:
        connection.recv(1)
