"""Ports for servers that a test ends and starts again."""

import random
import socket


def quiet_port() -> int:
    """A free port below those that the system gives to connections that go out.

    A server that is started again needs its port, which no connection may have taken meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # no secret
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
