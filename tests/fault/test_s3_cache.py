"""The promises of the cache of an S3 store: it serves while the store is down, and keeps its limit."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fleetpulse.blocks.s3 import S3BlockStore
from s3_proxy import (
    BODY,
    TIMEOUT_S,
    Proxy,
    direct_fixture,  # noqa: F401  # a fixture
    proxy_fixture,  # noqa: F401  # a fixture
    read,
    store_fixture,  # noqa: F401  # a fixture
    url_fixture,  # noqa: F401  # a fixture
    writes,
)
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture


def cached(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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
