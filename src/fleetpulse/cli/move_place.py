"""Where a service is, as the words after --from and --to say it: a data folder, and what is elsewhere, as URLs."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import SystemClock
from fleetpulse.data_folder import CATALOG, JOURNAL, hold_folder, open_catalog, open_journal, open_store
from fleetpulse.errors import SettingsError, StorageFailed
from fleetpulse.journal.journal import Journal
from fleetpulse.pipeline.move_begin import MoveSide
from fleetpulse.settings import load_settings
from fleetpulse.storage_causes import storage_text

SCHEMES = {"nats": "journal", "tls": "journal", "postgresql": "catalog", "postgres": "catalog", "s3": "blocks"}
"""Which setting a URL is for."""
_Part = TypeVar("_Part", Journal, Catalog)


@dataclass(frozen=True, slots=True)
class Place:
    """The words, sorted by what they are for; empty where there is none."""

    folder: str = ""
    journal: str = ""
    catalog: str = ""
    blocks: str = ""

    @property
    def text(self) -> str:
        """The same words, without passwords."""
        words = filter(None, (self.folder, self.journal, self.catalog, self.blocks))
        return " ".join(map(_without_password, words))

    @property
    def needs_folder(self) -> bool:
        """Whether something of it is in the data folder."""
        return not (self.journal and self.catalog and self.blocks)


def place_of(words: Sequence[str], flag: str) -> Place:
    """The place that words name. Raises: SettingsError: they name none."""
    found: dict[str, str] = {}
    for word in words:
        scheme = urlsplit(word).scheme if "://" in word else ""
        if scheme and scheme not in SCHEMES:
            known = "nats://…, postgresql://… or s3://…"
            raise SettingsError(f"{flag} {_without_password(word)}: a URL is of the kind {known}; else name a folder.")
        kind = SCHEMES[scheme] if scheme else "folder"
        if kind in found:
            raise SettingsError(f"{flag} names two places for one thing: {found[kind]} and {word}.")
        found[kind] = word
    place = Place(**found)
    if place.needs_folder and not place.folder:
        urls = {"journal": "nats://…", "catalog": "postgresql://…", "blocks": "s3://…"}
        lacking = [url for kind, url in urls.items() if kind not in found]
        raise SettingsError(f"{flag} lacks a data folder, or {' and '.join(lacking)}.")
    return place


def open_place(
    place: Place, flags: Mapping[str, str | bool], closing: ExitStack, *, flag: str, may_make: bool
) -> MoveSide:
    """Everything of a service, held and opened until `closing` ends.

    Args:
        flags: settings that were given.
        may_make: make what is not there.
    Raises: SettingsError: there is nothing; DataFolderInUse; OperatorError; DatabaseBusy.
    """
    folder = Path(place.folder or closing.enter_context(TemporaryDirectory(prefix="fleetpulse-move-")))
    settings = load_settings(
        {**flags, "blocks": place.blocks, "journal": place.journal, "catalog": place.catalog, "data": str(folder)},
        os.environ,
        None,
    )
    if not may_make:
        _check_is_there(place, folder, flag)
    closing.enter_context(hold_folder(folder))
    try:
        journal = _opened(open_journal(settings), closing)
        catalog = _opened(open_catalog(settings, SystemClock()), closing)
        # Nothing is cached: what is compared is what the bucket has, and the copies would be used only once.
        cache = Path(closing.enter_context(TemporaryDirectory(dir=folder, prefix="move-"))) if place.blocks else None
        store = open_store(settings, uncached_folder=cache)
    except OSError as error:
        raise StorageFailed(storage_text(error, folder)) from error
    return MoveSide(journal=journal, catalog=catalog, store=store, place=place.text, folder=folder)


def _opened(part: _Part, closing: ExitStack) -> _Part:
    closing.callback(part.close)
    return part


def _check_is_there(place: Place, folder: Path, flag: str) -> None:
    names = [name for name, url in ((JOURNAL, place.journal), (CATALOG, place.catalog)) if not url]
    for name in names:
        if not (folder / name).exists():
            raise SettingsError(f"{flag} {folder} is no whole data folder: it has no {name}. Name another.")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "://" not in url or "@" not in parts.netloc:
        return url
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))
