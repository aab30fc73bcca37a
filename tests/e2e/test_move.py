"""A service moves to another folder and into a bucket by the command, which is killed meanwhile, and goes on there."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from command import COMMAND, refusal, run_command
from conftest import Server
from moved_service import answers_of, lived
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture


def test_a_moved_service_answers_as_before_and_starts_in_one_place_only(
    serve: Callable[..., Server], s3: S3Server, tmp_path: Path
) -> None:
    server, before = lived(serve)
    folder, bucket = tmp_path / "there", f"s3://{s3.bucket()}/fleet"
    words = ["move", "--from", str(server.folder), "--to", str(folder), bucket, "--s3-endpoint", s3.endpoint]
    for _ in range(2):
        began = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (folder / "catalog.sqlite").exists() and time.monotonic() < deadline and began.poll() is None:
            time.sleep(0.01)
        began.kill()
        began.wait()
    done = run_command(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is at" in done.stdout
    assert "goes on there" in refusal("serve", "--data", str(server.folder), "--port", "0")
    assert "already" in run_command(*words).stdout
    again = Server(folder, "--auto-define", "--blocks", bucket, "--s3-endpoint", s3.endpoint)
    try:
        assert answers_of(again) == before
        assert not list((folder / "blocks").glob("*")) if (folder / "blocks").exists() else True
    finally:
        assert again.stop(signal.SIGTERM) == 0
    # The other place has acknowledged something since: its mark that it runs.
    assert "gone on" in refusal("move", "--take-back", *words[1:])
    back = tmp_path / "back"
    came = run_command("move", "--from", str(folder), bucket, "--to", str(back), "--s3-endpoint", s3.endpoint)
    assert came.returncode == 0, came.stdout + came.stderr
    assert "goes on there" in refusal("serve", "--data", str(folder), "--blocks", bucket, "--port", "0")
    home = Server(back, "--auto-define")
    try:
        assert answers_of(home) == before
    finally:
        assert home.stop(signal.SIGTERM) == 0


def test_places_that_are_none_are_refused(tmp_path: Path) -> None:
    there = str(tmp_path)
    assert "no whole data folder" in refusal("move", "--from", str(tmp_path / "nothing"), "--to", there)
    assert "of the kind" in refusal("move", "--from", "http://host", "--to", there)
    assert "two places" in refusal("move", "--from", "s3://a/b", "s3://a/c", "--to", there)
    assert "lacks a data folder, or nats" in refusal("move", "--from", "s3://a/b", "--to", there)
    assert "--to is required" in refusal("move", "--from", there)
    assert "pass word" not in refusal("move", "--from", there, "--to", "ftp://user:pass word@host/x")
