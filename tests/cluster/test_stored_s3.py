"""The S3 API of a cluster's tests keeps its objects when it is killed, and notices which are overwritten."""

from pathlib import Path

import pytest
from members import S3Process

from fleetpulse.blocks.s3 import S3BlockStore
from s3_server import CREDENTIALS, REGION


def store_of(server: S3Process, cache_folder: Path) -> S3BlockStore:
    return S3BlockStore(
        "s3://cluster/blocks",
        endpoint=f"http://127.0.0.1:{server.port}",
        region=REGION,
        cache_folder=cache_folder,
        cache_bytes_max=1 << 20,
    )


def test_objects_outlive_a_kill_and_a_second_writing_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = S3Process(tmp_path / "s3")
    server.start()
    try:
        server.wait_ready()
        store = store_of(server, tmp_path / "cache1")
        for name in ("kept.parquet", "removed.parquet"):
            store.put(name, lambda file: file.write(b"content") and None)
        store.remove("removed.parquet")
        server.kill()
        assert server.has_ended
        server.start()
        server.wait_ready()
        other = store_of(server, tmp_path / "cache2")
        assert other.names() == {"kept.parquet"}
        with other.open("kept.parquet") as file:
            assert file.read() == b"content"
        other.put("kept.parquet", lambda file: file.write(b"content") and None)
        assert server.overwritten == []  # a repeated request changes nothing
        other.put("kept.parquet", lambda file: file.write(b"other") and None)
        assert server.overwritten == ["/cluster/blocks/kept.parquet"]
    finally:
        server.kill()
