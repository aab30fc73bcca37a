"""An S3 store that fails: whole files or an error in time, never half a file; and the cache's promises.

Between the store and a real S3 API stands a proxy that spoils chosen requests.
"""

import io
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from fleetpulse.blocks.owner import LocalIdentity, claim, has_conditional_writes, read_owner
from fleetpulse.blocks.s3 import PART_BYTES, S3BlockStore
from fleetpulse.blocks.store import check_file
from fleetpulse.errors import SettingsError
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture

TIMEOUT_S = 0.6
BODY = os.urandom(300_000)
_CONDITION = rb"(?i)\r\nif-(none-)?match:[^\r]*"


class Proxy:
    """Forwards each request on a connection of its own, and spoils those for which `fault` names how.

    closed: cut at once. silence: no answer. cut request: cut in the middle of the body. unavailable, slow down: an
    answer 500 or 503. lost answer: cut when the request was carried out. cut answer: cut before the last 1000 bytes.
    short pages: two names each. careless: conditions are ignored. not implemented: conditions get an answer 501.
    """

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._end = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=32)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[str] = []
        self.fault: Callable[[str], str | None] = lambda _: None
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def count(self, method: str) -> int:
        return Counter(line.split()[0] for line in self.requests)[method]

    def close(self) -> None:
        self._end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._workers.shutdown()

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._workers.submit(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            # What a client that gave up does to its connection is no error here.
            try:
                self._answer(client)
            except OSError:
                return

    def _answer(self, client: socket.socket) -> None:
        head, body = _read_head(client)
        if not head:
            return
        line = head.split(b"\r\n")[0].decode()
        self.requests.append(line)
        fault = self.fault(line)
        if fault == "silence":
            self._end.wait(60)
        if fault in {"silence", "closed"}:
            return
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        while len(body) < (size // 2 if fault == "cut request" else size):
            body += client.recv(1 << 16)
        if fault == "cut request":
            return
        if fault in {"unavailable", "slow down"}:
            status = b"500 Internal Server Error" if fault == "unavailable" else b"503 Slow Down"
            client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if fault == "short pages":
            head = head.replace(b"list-type=2", b"list-type=2&max-keys=2", 1)
        has_condition = re.search(_CONDITION, head)
        if fault == "not implemented" and has_condition:
            text = b"<Error><Code>NotImplemented</Code></Error>"
            size_line = b"Content-Length: %d\r\n" % len(text)
            client.sendall(b"HTTP/1.1 501 Not Implemented\r\nConnection: close\r\n" + size_line + b"\r\n" + text)
            return
        if fault == "careless":
            head = re.sub(_CONDITION, b"", head)
        answer = self._forward(head, body)
        if fault == "lost answer":
            return
        client.sendall(answer[: len(answer) - 1000] if fault == "cut answer" else answer)

    def _forward(self, head: bytes, body: bytes) -> bytes:
        with socket.create_connection(self._upstream) as upstream:
            upstream.sendall(head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n" + body)
            answer = b""
            while piece := upstream.recv(1 << 16):
                answer += piece
        return answer


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = client.recv(1 << 16)
        if not piece:
            return b"", b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    proxy = Proxy(s3.port)
    yield proxy
    proxy.close()


@pytest.fixture
def url(s3: S3Server) -> str:
    return f"s3://{s3.bucket()}/blocks"


@pytest.fixture
def store(s3: S3Server, proxy: Proxy, url: str, tmp_path: Path) -> S3BlockStore:
    """Through the proxy."""
    return s3.store(tmp_path / "cache", url=url, endpoint=proxy.endpoint, timeout_s=TIMEOUT_S)


@pytest.fixture
def direct(s3: S3Server, url: str, tmp_path: Path) -> S3BlockStore:
    """Another node on the same bucket, past the proxy."""
    return s3.store(tmp_path / "other-cache", url=url)


def writes(body: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(body)

    return write


def read(store: S3BlockStore, name: str) -> bytes:
    with store.open(name) as reader:
        return reader.read()


def first(count: int, fault: str, method: str = "") -> Callable[[str], str | None]:
    """Spoil the first requests, or the first ones of a method."""
    left = iter(range(count))
    return lambda line: fault if line.startswith(method) and next(left, None) is not None else None


def seconds_to_fail(call: Callable[[], object]) -> float:
    start = time.monotonic()
    with pytest.raises(OSError, match="cannot") as raised:
        call()
    assert not isinstance(raised.value, FileNotFoundError)
    return time.monotonic() - start


def cached(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("fault", ["unavailable", "slow down", "closed", "silence"])
def test_a_store_that_recovers_is_tried_again(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy, fault: str
) -> None:
    faults = 1 if fault == "silence" else 3
    proxy.fault = first(faults, fault)
    check_file(direct, store.put("a.parquet", writes(BODY)))
    direct.put("b.parquet", writes(BODY))
    proxy.fault = first(faults, fault)
    assert read(store, "b.parquet") == BODY
    proxy.fault = first(faults, fault)
    assert store.names() == {"a.parquet", "b.parquet"}


def test_a_download_that_is_cut_once_is_whole_in_the_end(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    direct.put("a.parquet", writes(BODY))
    proxy.fault = first(1, "cut answer")
    assert read(store, "a.parquet") == BODY
    assert proxy.count("GET") == 2


def test_a_download_that_is_cut_again_and_again_is_an_error_and_not_cached(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy, tmp_path: Path
) -> None:
    direct.put("a.parquet", writes(BODY))
    # The library asks for the rest, of which nothing comes: it is below 1000 bytes.
    proxy.fault = lambda _: "cut answer"
    with pytest.raises(
        OSError, match=r"cannot read s3://test-.*/blocks/a\.parquet at http://127\.0\.0\.1.*Check that"
    ) as raised:
        store.open("a.parquet")
    assert not isinstance(raised.value, FileNotFoundError)
    assert (cached(tmp_path / "cache"), store.cache_bytes) == (set(), 0)
    proxy.fault = lambda _: None
    assert read(store, "a.parquet") == BODY


@pytest.mark.parametrize("size_bytes", [len(BODY), 2 * PART_BYTES + 1])
@pytest.mark.parametrize("fault", ["cut request", "lost answer"])
def test_an_upload_that_is_cut_leaves_nothing_and_another_one_works(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy, tmp_path: Path, *, fault: str, size_bytes: int
) -> None:
    proxy.fault = lambda line: fault if line.startswith("PUT") else None
    with pytest.raises(OSError, match=r"cannot write .*a\.parquet"):
        store.put("a.parquet", writes(bytes(size_bytes)))
    assert (direct.names(), cached(tmp_path / "cache"), store.cache_bytes) == (set(), set(), 0)
    with pytest.raises(FileNotFoundError):
        store.open("a.parquet")
    proxy.fault = lambda _: None
    check_file(direct, store.put("b.parquet", writes(bytes(size_bytes))))
    assert direct.names() == {"b.parquet"}


def test_an_upload_in_parts_that_fails_is_given_up_at_the_store(store: S3BlockStore, proxy: Proxy) -> None:
    proxy.fault = lambda line: "closed" if "partNumber=2" in line else None
    with pytest.raises(OSError, match="cannot write"):
        store.put("a.parquet", writes(bytes(2 * PART_BYTES + 1)))
    assert any(line.startswith("DELETE") and "uploadId=" in line for line in proxy.requests)


@pytest.mark.parametrize("fault", ["silence", "closed"])
def test_a_dead_store_is_an_error_in_time(store: S3BlockStore, proxy: Proxy, fault: str) -> None:
    proxy.fault = lambda _: fault
    calls: list[Callable[[], object]] = [
        lambda: store.put("a.parquet", writes(BODY)),
        lambda: store.put("b.parquet", writes(bytes(2 * PART_BYTES + 1))),
        lambda: store.remove("c.parquet"),
        store.names,
        *[lambda: store.open("d.parquet")] * 4,  # who waits for another's download shares its end
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        assert max(pool.map(seconds_to_fail, calls)) < 3 * TIMEOUT_S + 0.5


def test_a_store_that_dies_in_the_middle_of_an_upload_is_an_error_in_time(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    proxy.fault = lambda line: "silence" if "partNumber=2" in line or line.startswith("DELETE") else None
    assert seconds_to_fail(lambda: store.put("b.parquet", writes(bytes(2 * PART_BYTES + 1)))) < 5.5 * TIMEOUT_S + 0.5
    assert direct.names() == set()


def test_after_an_error_the_next_one_who_opens_tries_anew(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    direct.put("a.parquet", writes(BODY))
    proxy.fault = lambda _: "closed"
    with pytest.raises(OSError, match="cannot read"):
        store.open("a.parquet")
    proxy.fault = lambda _: None
    assert read(store, "a.parquet") == BODY


def test_what_is_cached_is_served_while_the_store_is_down(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    direct.put("a.parquet", writes(b"read before"))
    store.put("b.parquet", writes(b"written here"))
    assert read(store, "a.parquet") == b"read before"
    proxy.fault = lambda _: "closed"
    before = len(proxy.requests)
    assert (read(store, "a.parquet"), read(store, "b.parquet")) == (b"read before", b"written here")
    assert (len(proxy.requests), store.cache_hits, store.cache_misses, store.cache_bytes) == (before, 2, 1, 23)


def test_a_missing_bucket_or_a_wrong_endpoint_is_not_a_missing_file(s3: S3Server, tmp_path: Path) -> None:
    for url, endpoint in (
        (f"s3://no-{s3.bucket()}", s3.endpoint),
        (f"s3://{s3.bucket()}", s3.endpoint + "/elsewhere/deeper"),
    ):
        store = s3.store(tmp_path / "cache", url=url, endpoint=endpoint, timeout_s=TIMEOUT_S)
        seconds_to_fail(partial(store.open, "a.parquet"))
        seconds_to_fail(partial(store.put, "a.parquet", writes(BODY)))


def test_many_threads_that_open_one_name_share_one_download(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    direct.put("a.parquet", writes(BODY))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: read(store, "a.parquet"), range(32))) == {BODY}
    assert (proxy.count("GET"), store.cache_misses, store.cache_hits) == (1, 1, 31)


def test_the_cache_keeps_its_limit_and_forgets_the_least_recently_used(s3: S3Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    store = s3.store(folder, cache_bytes_max=30)
    for name in ("a.parquet", "b.parquet", "c.parquet"):
        store.put(name, writes(bytes(10)))
    read(store, "a.parquet")
    store.put("d.parquet", writes(bytes(10)))
    assert cached(folder) == {"a.parquet", "c.parquet", "d.parquet"}
    with store.open("c.parquet") as reader:
        store.put("e.parquet", writes(bytes(25)))
        assert (cached(folder), store.cache_bytes) == ({"e.parquet"}, 25)
        assert reader.read() == bytes(10)
    store.put("f.parquet", writes(bytes(31)))
    assert len(read(store, "f.parquet")) == 31
    assert (cached(folder), store.cache_bytes) == ({"e.parquet"}, 25)
    assert {len(read(store, f"{name}.parquet")) for name in "abcd"} == {10}
    store.remove("d.parquet")
    assert (cached(folder), store.cache_bytes) == ({"b.parquet", "c.parquet"}, 20)


def test_the_cache_outlives_a_restart_and_half_files_do_not(
    s3: S3Server, proxy: Proxy, url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    store = s3.store(folder, url=url)
    for age_s, name in ((3, "a.parquet"), (1, "b.parquet"), (2, "c.parquet")):
        store.put(name, writes(name.encode()))
        os.utime(folder / name, (time.time() - age_s, time.time() - age_s))
    (folder / "d.parquet.tmp").write_bytes(b"half")
    proxy.fault = lambda _: "closed"
    again = s3.store(folder, url=url, endpoint=proxy.endpoint, timeout_s=TIMEOUT_S)
    assert (cached(folder), again.cache_bytes) == ({"a.parquet", "b.parquet", "c.parquet"}, 27)
    assert read(again, "a.parquet") == b"a.parquet"
    smaller = s3.store(folder, url=url, cache_bytes_max=18)
    smaller.keep_copies(frozenset())  # a start says what must stay before anything goes
    assert (cached(folder), smaller.cache_bytes) == ({"a.parquet", "b.parquet"}, 18)


def test_a_cache_folder_that_somebody_emptied_is_filled_again(store: S3BlockStore, tmp_path: Path) -> None:
    store.put("a.parquet", writes(BODY))
    (tmp_path / "cache" / "a.parquet").unlink()
    assert read(store, "a.parquet") == BODY
    assert (store.cache_misses, store.cache_bytes) == (1, len(BODY))


def test_a_file_in_parts_is_the_bytes_that_were_written(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    body = os.urandom(2 * PART_BYTES + 12_345)
    check_file(direct, store.put("a.parquet", writes(body)))
    assert sum("partNumber=" in line for line in proxy.requests) == 3
    with direct.open("a.parquet") as reader:
        assert reader.seek(0, io.SEEK_END) == len(body)


def test_only_blocks_right_under_the_prefix_are_named(s3: S3Server, url: str, tmp_path: Path) -> None:
    """What is not named in the manifest is removed: a neighbour's files must not be found."""
    bucket = url.removesuffix("/blocks")
    for number, place in enumerate(
        (bucket, f"{bucket}/", f"{bucket}/blocks/", f"{bucket}/blocks/deeper", f"{bucket}/blocks-of-others")
    ):
        store = s3.store(tmp_path / f"cache{number}", url=place)
        store.put(f"{number // 2}.parquet", writes(b"body"))
        store.put("notes.txt", writes(b"body"))
        assert store.names() == {f"{number // 2}.parquet"}


def test_names_on_more_than_one_page_are_all_listed(store: S3BlockStore, proxy: Proxy) -> None:
    names = {f"{number}.parquet" for number in range(5)}
    for name in names:
        store.put(name, writes(BODY))
    proxy.fault = lambda _: "short pages"
    assert store.names() == names
    assert proxy.count("GET") == 3


def test_the_endpoint_of_the_setting_holds_against_the_environment(s3: S3Server, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            patch.setenv(name, "http://127.0.0.1:9")
        s3.store(tmp_path / "cache").put("a.parquet", writes(BODY))


@pytest.mark.parametrize(
    ("url", "endpoint"), [("bucket/prefix", ""), ("s3://", ""), ("s3:///prefix", ""), ("s3://bucket", "host:9000")]
)
def test_a_place_that_cannot_be_one_is_refused(tmp_path: Path, url: str, endpoint: str) -> None:
    with pytest.raises(SettingsError, match="Give"):
        S3BlockStore(url, endpoint=endpoint, region="", cache_folder=tmp_path, cache_bytes_max=0)


@pytest.mark.parametrize("fault", [None, "careless", "not implemented", "lost answer"])
def test_the_owner_is_written_to_any_store_and_one_without_conditions_is_noticed(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy, fault: str | None
) -> None:
    local = LocalIdentity(Path("data"), "x", "x", set())
    assert claim(direct, local, now_ns=1).generation == 1
    if fault == "lost answer":
        proxy.fault = first(1, fault, "PUT")  # it is tried again, and then finds its own note
    elif fault is not None:
        proxy.fault = lambda _: fault
    owner = claim(store, local, now_ns=1)
    assert read_owner(direct)[0] == owner
    assert has_conditional_writes(store, owner) == (fault in {None, "lost answer"})
    assert read_owner(direct)[0] == owner
    assert owner.generation == 2
