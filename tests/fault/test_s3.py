"""An S3 store that fails: whole files or an error in time, never half a file; and the cache's promises.

Between the store and a real S3 API stands a proxy that spoils chosen requests.
"""

import io
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fleetpulse.blocks.file_checks import check_file
from fleetpulse.blocks.owner import LocalIdentity, claim, has_conditional_writes, read_owner
from fleetpulse.blocks.s3 import PART_BYTES, S3BlockStore
from fleetpulse.errors import SettingsError
from s3_proxy import (
    BODY,
    TIMEOUT_S,
    Proxy,
    direct_fixture,  # noqa: F401  # a fixture
    proxy_fixture,  # noqa: F401  # a fixture
    read,
    seconds_to_fail,
    store_fixture,  # noqa: F401  # a fixture
    url_fixture,  # noqa: F401  # a fixture
    writes,
)
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture


def first(count: int, fault: str, method: str = "") -> Callable[[str], str | None]:
    """Spoil the first requests, or the first ones of a method."""
    left = iter(range(count))
    return lambda line: fault if line.startswith(method) and next(left, None) is not None else None


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


def test_a_missing_bucket_or_a_wrong_endpoint_is_not_a_missing_file(s3: S3Server, tmp_path: Path) -> None:
    for url, endpoint in (
        (f"s3://no-{s3.bucket()}", s3.endpoint),
        (f"s3://{s3.bucket()}", s3.endpoint + "/elsewhere/deeper"),
    ):
        store = s3.store(tmp_path / "cache", url=url, endpoint=endpoint, timeout_s=TIMEOUT_S)
        seconds_to_fail(partial(store.open, "a.parquet"))
        seconds_to_fail(partial(store.put, "a.parquet", writes(BODY)))


def test_a_file_in_parts_is_the_bytes_that_were_written(
    store: S3BlockStore, direct: S3BlockStore, proxy: Proxy
) -> None:
    body = os.urandom(2 * PART_BYTES + 12_345)
    check_file(direct, store.put("a.parquet", writes(body)))
    parts = [found[1] for line in proxy.requests if (found := re.search(r"partNumber=(\d+)", line))]
    assert set(parts) == {"1", "2", "3"}  # on a busy machine a part may be sent again
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
