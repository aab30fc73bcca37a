"""The cache keeps what was used last, up to its bytes."""

from fleetpulse.blocks.memory_cache import MemoryCache


class Maker:
    """Makes values of a size, and counts how often."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, cache: MemoryCache, key: str, size_bytes: int = 10) -> str:
        def make() -> tuple[str, int]:
            self.made.append(key)
            return f"value of {key}", size_bytes

        return cache.get(("value", key), make)


def test_a_value_is_made_once_and_the_least_recently_used_one_is_evicted() -> None:
    cache, get = MemoryCache(25), Maker()
    assert get(cache, "a") == get(cache, "a") == "value of a"
    get(cache, "b")
    get(cache, "a")
    get(cache, "c")
    assert cache.size_bytes == 20
    get(cache, "a")
    get(cache, "b")
    assert get.made == ["a", "b", "c", "b"]


def test_a_value_larger_than_the_cache_evicts_nothing() -> None:
    cache, get = MemoryCache(25), Maker()
    get(cache, "a")
    assert get(cache, "large", size_bytes=26) == "value of large"
    get(cache, "a")
    assert (get.made, cache.size_bytes) == (["a", "large"], 10)


def test_values_of_files_that_were_replaced_are_evicted() -> None:
    cache, get = MemoryCache(99), Maker()
    for name in ("a", "b", "c"):
        get(cache, name)
    cache.keep_files({"b", "d"})
    assert cache.size_bytes == 10
    get(cache, "b")
    get(cache, "a")
    assert get.made == ["a", "b", "c", "a"]


def test_what_is_read_once_is_taken_from_the_cache_but_not_kept_in_it() -> None:
    cache = MemoryCache(25)
    assert cache.get(("value", "a"), lambda: ("made", 10), is_kept=False) == "made"
    assert cache.size_bytes == 0
    cache.get(("value", "a"), lambda: ("kept", 10))
    assert cache.get(("value", "a"), lambda: ("made", 10), is_kept=False) == "kept"
