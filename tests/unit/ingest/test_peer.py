"""Whether anybody waits for an answer, with real sockets on the loopback interface."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fleetpulse.ingest.peer import ASK_AFTER_S, ASK_AGAIN_S, INTERIM, Peer


class Transport:
    """As much of a transport as a peer needs."""

    def __init__(self, connected: socket.socket) -> None:
        self.connected = connected
        self.is_closed = False
        self.unsent_bytes = 0

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: bytes) -> None:
        self.connected.send(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes


@contextmanager
def connection() -> Iterator[tuple[socket.socket, Transport, Peer]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        connected, _ = listener.accept()
        with client, connected:
            transport = Transport(connected)
            yield client, transport, Peer(transport, connected, "127.0.0.1")


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so within 2 s: the kernel takes a moment."""
    end_s = time.monotonic() + 2
    while time.monotonic() < end_s:
        if is_so():
            return True
        time.sleep(0.001)
    return False


def test_a_client_that_does_nothing_waits() -> None:
    with connection() as (client, _, peer):
        assert not peer.has_hung_up(0)
        assert not peer.has_hung_up(1_000)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)


def test_a_client_that_resets_the_connection_does_not_wait() -> None:
    with connection() as (client, _, peer):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert soon(lambda: peer.has_hung_up(0))


def test_a_client_that_has_closed_both_sides_is_found_by_an_interim_answer() -> None:
    with connection() as (client, _, peer):
        client.close()
        assert not peer.has_hung_up(0)
        assert soon(lambda: peer.has_hung_up(ASK_AFTER_S))


def test_a_client_that_only_sends_no_more_waits_and_is_asked_again_after_a_while() -> None:
    with connection() as (client, _, peer):
        client.shutdown(socket.SHUT_WR)
        assert soon(lambda: peer._state() == 8)
        for now_s in (0, ASK_AFTER_S / 2, ASK_AFTER_S, 1, 2, ASK_AFTER_S + ASK_AGAIN_S, 6):
            assert not peer.has_hung_up(now_s)
        assert client.recv(1_000) == INTERIM * 2
        client.close()
        assert soon(lambda: peer.has_hung_up(60))


def test_a_client_whose_closed_side_was_never_read_is_found_as_well() -> None:
    with connection() as (client, _, peer):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")  # further requests, which wait in the socket
        client.close()
        assert not peer.has_hung_up(0)
        assert soon(lambda: peer.has_hung_up(ASK_AFTER_S))


def test_no_interim_answer_goes_to_a_client_of_http_1_0_nor_between_bytes_that_wait() -> None:
    with connection() as (client, transport, peer):
        client.shutdown(socket.SHUT_WR)
        assert soon(lambda: peer._state() == 8)
        peer.is_modern = False
        assert not any(peer.has_hung_up(now_s) for now_s in range(20))
        peer.is_modern, transport.unsent_bytes = True, 1
        assert not any(peer.has_hung_up(now_s) for now_s in range(20))
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_connection_that_we_close_has_nobody_who_waits() -> None:
    with connection() as (_, transport, peer):
        transport.is_closed = True
        assert peer.has_hung_up(0)


def test_what_is_no_tcp_is_believed_to_wait() -> None:
    one, other = socket.socketpair()
    with one, other:
        other.close()
        assert not Peer(Transport(one), one, "").has_hung_up(0)
        assert not Peer(Transport(one), None, "").has_hung_up(0)
