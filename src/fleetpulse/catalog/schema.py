"""The tables of the SQLite catalog, and the steps from each version of them to the next.

device(number, id, labels, …)    number: the index into all arrays; stays the device's when deleted_at_ns is set;
                                 checksum: of what is declared; NULL in rows that older versions wrote
pause(device, start_ns, …)       end_ns NULL: the pause has no end yet
deletion(device, start_ns, …)    when a device was deleted; end_ns NULL: it has not been declared again
maintenance(id, body, checksum)  body: the maintenance window as JSON
metric(number, name, body, …)    body: the definition as JSON; number 0 is upload_time; checksums: see row_checks.py
manifest(position, …)            one row: the last checkpoint
forgotten(device, before_ns, …)  what people had the history of devices forget, and how much that was
expired(metric, day, samples)    how many samples of a day (since 1970-01-01) retention has deleted
blind(start_ns, end_ns)          the spans of blind time of that checkpoint
block(name, kind, day, …)        the files that the manifest lists; the files of one sample block have the same part
set_aside(name, because, …)      blocks of the manifest that are damaged or missing, until they are back
gap_devices(name, …)             of a file of reception gaps: the devices of which it counts, and its sequence
late_days(name, start_day, …)    ranges of days that count of the late block whose file by day has this name
retention_grace(metric, kept)    days that a definition of before kept, and keeps on until until_ns
declared(version, …)             one row: how often devices, pauses and windows were changed, and when last
file_reading(kind, read_at_ns)   when devices.csv (kind `devices`) or metrics.json (`metrics`) was last read
written(mark, at_ns)             marks in the names of files that were, or may have been, written to the block store
owner(id)                        one row, once it is known: the id of the data folder, see blocks/owner.py
superseded(name, since_ns, …)    files of ours that the manifest does not name any more, and that are still there
file_value(kind, name, fields)   fields: what such a file last said of a device or metric, as a JSON object
transactions(number)             one row: how many transactions changed the catalog, see `reached.py`
marked(since_ns)                 one row, once the file `reached` is certainly on disk: from then on it must be there
loss(accepted_at_ns, part, …)    what had vanished of the journal or the catalog, and people accepted with --accept-loss
"""

import sqlite3

_VERSION_1 = """
CREATE TABLE device (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, labels TEXT NOT NULL);
CREATE TABLE manifest (position INTEGER NOT NULL, open_from_day INTEGER NOT NULL, taken_at_ns INTEGER NOT NULL);
CREATE TABLE block (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, day INTEGER, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL
);
"""
_VERSION_2 = """
ALTER TABLE device ADD COLUMN interval_s INTEGER;
ALTER TABLE device ADD COLUMN grace_s INTEGER;
ALTER TABLE device ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN created_at_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN deleted_at_ns INTEGER;
ALTER TABLE manifest ADD COLUMN alive_at_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE block ADD COLUMN part INTEGER;
ALTER TABLE block ADD COLUMN value_kind TEXT;
ALTER TABLE block ADD COLUMN start_ns INTEGER;
ALTER TABLE block ADD COLUMN end_ns INTEGER;
ALTER TABLE block ADD COLUMN samples INTEGER;
CREATE TABLE blind (start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL);
CREATE TABLE pause (device INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER);
CREATE INDEX pause_device ON pause (device);
CREATE TABLE maintenance (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE metric (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL, is_defined INTEGER NOT NULL
);
"""
_FILE_VALUES = """
CREATE TABLE file_reading (kind TEXT PRIMARY KEY, read_at_ns INTEGER NOT NULL);
CREATE TABLE file_value (
    kind TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""
_DISTINCT_BLOCKS = """
ALTER TABLE block ADD COLUMN is_distinct INTEGER NOT NULL DEFAULT 0;
"""
_RETENTION_GRACE = """
CREATE TABLE retention_grace (
    metric INTEGER NOT NULL, kept TEXT NOT NULL, days INTEGER NOT NULL, until_ns INTEGER NOT NULL,
    PRIMARY KEY (metric, kept, days)
) WITHOUT ROWID;
"""
_LEAPS = """
ALTER TABLE manifest ADD COLUMN leapt_at_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifest ADD COLUMN leap_start_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifest ADD COLUMN leap_end_ns INTEGER NOT NULL DEFAULT 0;
"""
_FORGOTTEN = """
CREATE TABLE forgotten (
    device INTEGER NOT NULL, before_ns INTEGER NOT NULL, at_ns INTEGER NOT NULL, minutes INTEGER NOT NULL,
    samples INTEGER NOT NULL
);
"""
_DELETIONS = """
CREATE TABLE deletion (device INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER);
CREATE INDEX deletion_device ON deletion (device);
INSERT INTO deletion SELECT number, deleted_at_ns, NULL FROM device WHERE deleted_at_ns IS NOT NULL;
DELETE FROM pause WHERE start_ns >= (SELECT deleted_at_ns FROM device WHERE number = pause.device);
UPDATE pause SET end_ns = (SELECT deleted_at_ns FROM device WHERE number = pause.device)
WHERE coalesce(end_ns, 9223372036854775807) > (SELECT deleted_at_ns FROM device WHERE number = pause.device);
"""
_DECLARED = """
CREATE TABLE declared (version INTEGER NOT NULL, changed_at_ns INTEGER NOT NULL);
INSERT INTO declared VALUES (0, 0);
"""
_EXPIRED = """
CREATE TABLE expired (
    metric INTEGER NOT NULL, day INTEGER NOT NULL, samples INTEGER NOT NULL, PRIMARY KEY (metric, day)
) WITHOUT ROWID;
"""
_WRITTEN = """
CREATE TABLE written (mark TEXT PRIMARY KEY, at_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE superseded (
    name TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, since_ns INTEGER NOT NULL, was_at_rest INTEGER NOT NULL
) WITHOUT ROWID;
"""
_OWNER = """
CREATE TABLE owner (id TEXT NOT NULL);
"""
_LOSSES = """
CREATE TABLE transactions (number INTEGER NOT NULL);
INSERT INTO transactions VALUES (0);
CREATE TABLE loss (
    accepted_at_ns INTEGER NOT NULL, part TEXT NOT NULL, after INTEGER NOT NULL, through INTEGER NOT NULL,
    since_ns INTEGER NOT NULL
);
"""
_LATE_BLOCKS = """
CREATE TABLE late_days (name TEXT NOT NULL, start_day INTEGER NOT NULL, end_day INTEGER NOT NULL);
CREATE INDEX late_days_name ON late_days (name);
"""
_SET_ASIDE = """
CREATE TABLE set_aside (name TEXT PRIMARY KEY, because TEXT NOT NULL, since_ns INTEGER NOT NULL) WITHOUT ROWID;
"""
_CHECKSUMS = """
ALTER TABLE device ADD COLUMN checksum INTEGER;
"""
_ROW_CHECKSUMS = """
ALTER TABLE maintenance ADD COLUMN checksum INTEGER;
ALTER TABLE pause ADD COLUMN checksum INTEGER;
ALTER TABLE metric ADD COLUMN checksum INTEGER;
"""
_MARKED = """
CREATE TABLE marked (since_ns INTEGER NOT NULL);
"""
_GAP_DEVICES = """
CREATE TABLE gap_devices (
    name TEXT PRIMARY KEY, first_device INTEGER NOT NULL, end_device INTEGER NOT NULL, sequence INTEGER NOT NULL
) WITHOUT ROWID;
"""
_STEPS = (
    *(_VERSION_1, _VERSION_2, _FILE_VALUES, _DISTINCT_BLOCKS, _RETENTION_GRACE, _LEAPS, _FORGOTTEN, _DELETIONS),
    _DECLARED,
    _EXPIRED,
    _WRITTEN,
    _OWNER,
    _LOSSES,
    _LATE_BLOCKS,
    _SET_ASIDE,
    _CHECKSUMS,
    _ROW_CHECKSUMS,
    _MARKED,
    _GAP_DEVICES,
)
"""Never change a step: catalogs in use were made by it. A change of the tables is a further step."""
VERSION = len(_STEPS)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring an older or new catalog to VERSION, in one transaction. Returns the version that it had.

    A catalog of a newer version is left as it is. Raises: sqlite3.DatabaseError: the file is no SQLite file.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version < VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(_STEPS[version:])} PRAGMA user_version={VERSION}; COMMIT;")
    return version
