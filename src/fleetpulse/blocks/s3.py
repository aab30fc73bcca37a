"""Blocks as objects of S3-compatible storage, read through a bounded cache of whole files on the local disk.

An upload appears under its name when it is whole, or never; an object that no manifest names does not count. An upload
in parts that a crash cut short is invisible, but the store keeps (and bills) the parts until a lifecycle rule of the
bucket for incomplete multipart uploads removes them.
"""

import contextlib
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import S3Store

from fleetpulse.blocks.file_cache import FileCache, sync_file
from fleetpulse.blocks.store import NOTE_SUFFIX, SUFFIX, Note, NoteChanged
from fleetpulse.errors import SettingsError
from fleetpulse.model.manifest import BlockFile

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, RetryConfig, S3Config

TIMEOUT_S = 6.0
BODY_TIMEOUT = timedelta(hours=1)  # for a body that keeps coming; one that stalls is given up after the timeout above
PART_BYTES = 5 << 20  # S3 takes no smaller parts, the last aside
PARTS_AT_ONCE = 2  # each must be sent within the timeout, so that two at once need 1.7 MiB/s; and 10 MiB of memory
READ_BYTES = 1 << 20


class S3BlockStore:
    """Files as the objects `<prefix>/<name>` of one bucket.

    Credentials that are not given come from the environment (AWS_ACCESS_KEY_ID, …).

    Args:
        url: `s3://bucket/prefix`; the prefix may be empty.
        endpoint: where the store answers, such as `http://127.0.0.1:9000`; empty for AWS.
        region: empty for AWS_REGION, and where that is not set us-east-1.
        cache_folder: for this store of this process alone.
        cache_bytes_max: of finished files; one that is being written or read comes on top.
        timeout_s: a request without any answer for so long is ended, and tried once more. So a call to a dead store
            ends within three times as long; a put whose store dies in the middle, within five and a half. On a slow
            line it takes longer: see PARTS_AT_ONCE.
        credentials: by the names of obstore, such as `secret_access_key`.
    Raises: SettingsError: `url` or `endpoint` cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str,
        region: str,
        cache_folder: Path,
        cache_bytes_max: int,
        timeout_s: float = TIMEOUT_S,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not url.startswith("s3://") or not bucket:
            raise SettingsError(f"{url!r} is no place for blocks. Give s3://bucket/prefix.")
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise SettingsError(
                f"{endpoint!r} is no endpoint of an S3 store. Give a URL such as https://s3.example.org, "
                "or nothing for AWS."
            )
        self.mark = ""
        self._place = "/".join(["s3:/", bucket, *filter(None, prefix.split("/"))])
        self._endpoint = endpoint or "AWS"
        # One object a DELETE, since not all stores know the bulk request.
        # A type checker cannot tell that all names of credentials are known to S3Config.
        config: S3Config = {"disable_bulk_delete": True, **(credentials or {})}  # type: ignore[typeddict-item]
        if endpoint:
            # Not `endpoint`, which AWS_ENDPOINT_URL_S3 would override.
            config["aws_endpoint_url_s3"] = endpoint.rstrip("/")
        if region:
            config["region"] = region

        def connect(client: "ClientConfig", retry: "RetryConfig") -> S3Store:
            client = {
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=timeout_s / 2),
            } | client
            return S3Store(
                bucket, prefix=prefix.strip("/") or None, config=config, client_options=client, retry_config=retry
            )

        # A retry begins within one and a half timeouts and takes one. Half a timeout is left for tidying up after a
        # failed put.
        self._store = connect(
            {"read_timeout": timedelta(seconds=timeout_s), "timeout": BODY_TIMEOUT},
            {
                "retry_timeout": timedelta(seconds=1.5 * timeout_s),
                "backoff": {"max_backoff": timedelta(seconds=timeout_s / 4)},
            },
        )
        self._tidying = connect({"timeout": timedelta(seconds=timeout_s / 2)}, {"max_retries": 0})
        self._cache = FileCache(cache_folder, bytes_max=cache_bytes_max)
        self._turns: weakref.WeakValueDictionary[str, _Turn] = weakref.WeakValueDictionary()

    @property
    def cache_hits(self) -> int:
        """Opened from the cache, since the start."""
        return self._cache.hits

    @property
    def cache_misses(self) -> int:
        """Downloads begun, since the start."""
        return self._cache.misses

    @property
    def cache_bytes(self) -> int:
        """What the cached files hold now."""
        return self._cache.bytes_now

    def put(self, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        """See BlockStore. The file is in the cache afterwards."""
        with self._turn(name).lock, self._cache.temporary(name) as temporary:
            with temporary.open("wb+") as file:
                write(file)
                size_bytes = sync_file(file)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            try:
                with self._translated("write", name):
                    self._store.put(name, temporary, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
                self._cache.adopt(temporary, name, size_bytes)
            except BaseException:
                # The object may be there although the answer was lost. If removing it fails, too, no manifest names it.
                self._cache.drop(name)
                with contextlib.suppress(BaseError, OSError):
                    self._tidying.delete(name)
                raise
        return BlockFile(name, size_bytes, digest)

    def open(self, name: str) -> BinaryIO:
        """See BlockStore. Downloads what is not in the cache. Raises: OSError: the store did not give it."""
        reader = self._cache.open(name)
        if reader is None:
            turn = self._turn(name)
            failures = turn.failures
            with turn.lock:
                reader = self._cache.open(name)
                if reader is None and turn.failures > failures:
                    # The threads that waited for this download fail with it: on a dead store their waits would add up.
                    raise OSError(turn.reason)
                reader = reader or self._download(name, turn)
        return reader

    def names(self) -> set[str]:
        """See BlockStore. Files of deeper folders belong to others, and are left out. Raises: OSError."""
        return self._list(SUFFIX)

    def note_names(self) -> set[str]:
        """See BlockStore."""
        return self._list(NOTE_SUFFIX)

    def _list(self, suffix: str) -> set[str]:
        with self._translated("list"):
            objects = self._store.list_with_delimiter()["objects"]
        return {found["path"] for found in objects if found["path"].endswith(suffix)}

    is_remote = True

    def keep_copies(self, names: AbstractSet[str], /) -> None:
        """See BlockStore."""
        self._cache.pin(names)

    def drop_copy(self, name: str, /) -> bool:
        """See BlockStore."""
        with self._turn(name).lock:
            return self._cache.drop(name)

    def remove(self, name: str) -> None:
        """See BlockStore. Raises: OSError: it may still be there."""
        with self._turn(name).lock:
            with contextlib.suppress(FileNotFoundError), self._translated("remove", name):
                self._store.delete(name)
            self._cache.drop(name)

    @property
    def place(self) -> str:
        """See BlockStore."""
        return f"{self._place} at {self._endpoint}"

    def read_note(self, name: str) -> Note | None:
        """See BlockStore. Notes are never cached: another node may have replaced them."""
        try:
            with self._translated("read", name):
                answer = self._store.get(name)
                body, version = bytes(answer.bytes()), answer.meta["e_tag"]
        except FileNotFoundError:
            return None
        return Note(body, version or "")

    def put_note(self, name: str, body: bytes) -> None:
        """See BlockStore."""
        with self._translated("write", name):
            self._store.put(name, body, use_multipart=False)

    def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
        """See BlockStore. Without conditional writes of the store there is no NoteChanged: the last writer succeeds."""
        with self._translated("write", name):
            try:
                mode: PutMode = "create" if expected is None else {"e_tag": expected.version}
                self._store.put(name, body, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError) as error:
                raise NoteChanged(name) from error
            except BaseError as error:
                if not _lacks_conditions(error):
                    raise
                self._store.put(name, body, use_multipart=False)

    def _download(self, name: str, turn: "_Turn") -> BinaryIO:
        try:
            return self._fetch(name)
        except FileNotFoundError:
            raise
        except OSError as error:
            turn.failures += 1
            turn.reason = str(error)
            raise

    def _fetch(self, name: str) -> BinaryIO:
        self._cache.count_miss()
        with self._cache.temporary(name) as temporary:
            with temporary.open("wb") as file:
                with self._translated("read", name):
                    answer = self._store.get(name)
                    for piece in answer.stream(min_chunk_size=READ_BYTES):
                        file.write(piece)
                size_bytes, whole_bytes = sync_file(file), answer.meta["size"]
            if size_bytes != whole_bytes:
                raise OSError(f"cannot read {self._key(name)}: {size_bytes} of {whole_bytes} bytes came. Try again.")
            reader = temporary.open("rb")  # first, since the cache may not keep the file
            self._cache.adopt(temporary, name, size_bytes)
            return reader

    def _turn(self, name: str) -> "_Turn":
        with self._cache.lock:
            return self._turns.setdefault(name, _Turn())

    def _key(self, name: str) -> str:
        return f"{self._place}/{name} at {self._endpoint}"

    @contextlib.contextmanager
    def _translated(self, verb: str, name: str = "") -> Iterator[None]:
        """Turn the library's errors into OSError, or FileNotFoundError where the object is missing."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            # The library raises FileNotFoundError for any 404, also where the bucket is missing or the endpoint is a
            # web server. Its errors carry no status and no code as attributes, so S3's code is looked for in their
            # text.
            if isinstance(error, FileNotFoundError) and "<Code>NoSuchKey</Code>" in str(error):
                raise FileNotFoundError(f"there is no {self._key(name)}") from error
            reason = " ".join(str(error).partition("\n\nDebug source")[0].split())[:400]
            raise OSError(
                f"cannot {verb} {self._key(name)}: {reason}. Check that the store is up and can be reached, that the "
                "bucket exists, and that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY allow to read, write, list and "
                "delete there."
            ) from error


def _lacks_conditions(error: BaseError) -> bool:
    """Whether the store refused a write because of its condition. The error has S3's code only in its text."""
    return isinstance(error, NotSupportedError) or "NotImplemented" in str(error) or "501 Not" in str(error)


class _Turn:
    """One thread at a time for a name; the others wait, and then find the file in the cache.

    The weak dictionary forgets it when no thread uses it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failures = 0
        self.reason = ""
