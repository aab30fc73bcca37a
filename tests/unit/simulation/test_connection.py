"""Answers as bytes of a connection, whole and broken."""

import asyncio

import httptools
import pytest

from fleetpulse.errors import SettingsError
from fleetpulse.simulation.connection import Answer, Connection, read_answer


def read(*parts: bytes) -> Answer:
    """The answer of a connection that brings these bytes and ends."""

    async def run() -> Answer:
        reader = asyncio.StreamReader()
        for part in parts:
            reader.feed_data(part)
        reader.feed_eof()
        return await read_answer(reader)

    return asyncio.run(run())


def test_status_body_and_when_to_return_are_read() -> None:
    answer = read(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-", b"Length: 4\r\n\r\nba", b"ck")
    assert (answer.status, answer.body, answer.retry_after_s, answer.keeps_connection) == (503, b"back", 7.0, True)


def test_an_answer_that_closes_the_connection_says_so() -> None:
    assert not read(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").keeps_connection


def test_half_an_answer_is_none() -> None:
    with pytest.raises(EOFError):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nba")
    with pytest.raises(httptools.HttpParserError):
        read(b"SSH-2.0-OpenSSH_9\r\n\r\n")


@pytest.mark.parametrize("url", ["here", "ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is no address of a server"):
        Connection(url)


def test_a_key_is_sent_with_each_request() -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Connection(f"http://127.0.0.1:{port}", key="fp_admin_1_x") as connection:
            for _ in range(2):
                await connection.ask("GET", "/")

    asyncio.run(run())
    assert [head.count(b"Authorization: Bearer fp_admin_1_x\r\n") for head in heads] == [1, 1]
