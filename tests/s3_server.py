"""A real S3 API over HTTP, on a free port of this machine.

A test module takes the fixture by importing it: `from s3_server import s3_server` (then `s3` is an argument of its
tests).
"""

import contextlib
import logging
import os
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from fleetpulse.blocks.s3 import TIMEOUT_S, S3BlockStore

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class S3Server:
    """The server's address, and buckets of their own for each test."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"

    def bucket(self, name: str = "") -> str:
        """Make a bucket; its name."""
        name = name or f"test-{uuid.uuid4().hex}"
        with urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{name}", method="PUT"), timeout=10):
            return name

    def store(
        self,
        cache_folder: Path,
        *,
        url: str | None = None,
        endpoint: str | None = None,
        cache_bytes_max: int = 1 << 30,
        timeout_s: float = TIMEOUT_S,
    ) -> S3BlockStore:
        """A store on this server, by default in a bucket of its own."""
        return S3BlockStore(
            url or f"s3://{self.bucket()}/some/prefix",
            endpoint=endpoint or self.endpoint,
            region=REGION,
            cache_folder=cache_folder,
            cache_bytes_max=cache_bytes_max,
            timeout_s=timeout_s,
        )


@pytest.fixture(scope="module", name="s3")
def s3_server() -> Iterator[S3Server]:
    """The server, and the environment to talk to it."""
    with running_s3() as server:
        yield server


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    """The same without pytest."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server.start()
        yield S3Server(server.get_host_and_port()[1])
        server.stop()
