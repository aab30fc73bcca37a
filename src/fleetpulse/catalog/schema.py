"""The tables of the SQLite catalog, and the steps from each version of them to the next.

device(number, id, labels, …)    number: the index into all arrays; stays the device's when deleted_at_ns is set;
                                 checksum: of what is declared; NULL in rows that older versions wrote
                                 is_undeclared: it registered itself; the first policy it gets holds since ever
policy(device, number, …)        declarations of its interval and grace in their order, once they have changed
earlier_policy(version, …)       what policies were before they changed, while a journal is shared: earlier_policies.py
default_policy(at_ns, …)         from when on the service had which interval, grace and factor of its own
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
gap_devices(name, …)             of a file of gaps, covers or backfill: the devices of which it counts, and its sequence
late_days(name, start_day, …)    ranges of days that count of the late block whose file by day has this name
retention_grace(metric, kept)    days that a definition of before kept, and keeps on until until_ns
declared(version, …)             one row: how often devices, pauses and windows were changed, and when last
file_reading(kind, read_at_ns)   when devices.csv (kind `devices`), metrics.json or alerts.toml was last read
written(mark, at_ns)             marks in the names of files that were, or may have been, written to the block store
owner(id)                        one row, once it is known: the id of the data folder, see blocks/owner.py
superseded(name, since_ns, …)    files of ours that the manifest does not name any more, and that are still there
file_value(kind, name, fields)   fields: what such a file last said of an entry, such as a device, as a JSON object
alert_rule(name, body, …)        rules of alerts that were changed or removed; all others are the default set
access_key(number, digest, …)    every key that was ever made; digest: the SHA-256 of its text; device: whose key it is
key_use(piece, minutes)          when the keys of a piece of numbers were last used, see key_rows.py
catalog_change(version, …)       what the transactions of a shared catalog changed, see change_log.py
shared_secret(name, secret)      keys with which all nodes of a cluster sign, see pipeline/shared_keys.py
transactions(number)             one row: how many transactions changed the catalog, see `reached.py`
marked(since_ns)                 one row, once the file `reached` is certainly on disk: from then on it must be there
person(name, role, scope, …)     who may sign in; scope: labels as a JSON list of pairs; password: an argon2id hash
session(id, person, kind, …)     sign-ins that have not ended; generation: which refresh token of the family is valid
enrolment_key(number, …)         the terms of keys with the role enrol: uses, pattern of ids, preset labels
enrolment(device, …)             devices that enrolled, or that people let enrol: with which secret, and their last key
audit(number, at_ns, kind, …)    who did what, and who was refused: a chain of hashes, see `audit_records.py`
audit_chain(anchor_number, …)    one row: where that chain begins and ends
alert_name(code, name)           names of rules and of groups of devices, which rows of alerts have as numbers
alert_piece(piece, rows, …)      1,000 alerts with neighbouring numbers, see `alert_records.py`; open: how many fire
alert_pending(rule, body, …)     the pending alerts of a rule, with their timers
alert_round(next_number, …)      one row: what rounds of alerts go on from; planner: what the planner remembers, as JSON
alert_decision(alert, …)         what people decided of an alert: acknowledged, assigned, snoozed
alert_note(alert, at_ns, …)      the log of an alert: what people did and wrote, and what its row does not tell
incident(number, label, …)       alerts with a common cause
silence(number, labels, …)       of which alerts people are not told, and until when
issuer_keys(url, body, …)        the public keys of an identity provider as it last told them, for when it is away
message(number, key, receiver, …) messages to receivers; about: see `Waiting`; state: see model/outbox.py
forwarded(receiver, alert, body) what is sent again to an Alertmanager until the alert has ended, as JSON
used_link(digest, at_ns, …)      links in messages that were used to acknowledge: the SHA-256 of their tokens
receiver_or_route(kind, name, …) receivers and routes as JSON; is_removed: a file may name it still
move(state, id, identity, …)     one row, if this catalog comes from another, or has gone to one: see `move_records.py`
lease(holder, epoch, …)          one row: which node does what only one does, see `lease_records.py`
manifest_version(number)         one row: how many manifests were committed
forget_order(id, device, …)      what people want forgotten on several nodes, see `forget_records.py`
number_used(kind, last)          the highest number that was ever given to a message or a badge
loss(accepted_at_ns, part, …)    what had vanished of the journal or the catalog, and people accepted with --accept-loss
"""

import sqlite3

from fleetpulse.catalog.cluster_tables import CATALOG_CHANGES, FORGET_ORDERS, LEASE

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
_OWNER = "CREATE TABLE owner (id TEXT NOT NULL);"
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
_MARKED = "CREATE TABLE marked (since_ns INTEGER NOT NULL);"
_GAP_DEVICES = """
CREATE TABLE gap_devices (
    name TEXT PRIMARY KEY, first_device INTEGER NOT NULL, end_device INTEGER NOT NULL, sequence INTEGER NOT NULL
) WITHOUT ROWID;
"""
_BEAT_GAPS = """
ALTER TABLE manifest ADD COLUMN beats_exact_from_ns INTEGER NOT NULL DEFAULT 0;
UPDATE manifest SET beats_exact_from_ns = taken_at_ns;
"""
_POLICIES = """
CREATE TABLE policy (
    device INTEGER NOT NULL, number INTEGER NOT NULL, declared_at_ns INTEGER NOT NULL, since_ns INTEGER NOT NULL,
    interval_s INTEGER, grace_s INTEGER, checksum INTEGER, PRIMARY KEY (device, number)
) WITHOUT ROWID;
CREATE TABLE default_policy (
    at_ns INTEGER NOT NULL, interval_s INTEGER NOT NULL, grace_s INTEGER NOT NULL, factor_thousandths INTEGER NOT NULL,
    checksum INTEGER
);
ALTER TABLE device ADD COLUMN is_undeclared INTEGER NOT NULL DEFAULT 0;
"""
_PEOPLE = """
CREATE TABLE person (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, scope TEXT NOT NULL, is_disabled INTEGER NOT NULL,
    version INTEGER NOT NULL, created_at_ns INTEGER NOT NULL, password TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE session (
    id TEXT PRIMARY KEY, person TEXT NOT NULL, kind TEXT NOT NULL, generation INTEGER NOT NULL,
    started_at_ns INTEGER NOT NULL, expires_at_ns INTEGER NOT NULL, address TEXT NOT NULL
) WITHOUT ROWID;
"""
_KEYS = """
CREATE TABLE access_key (
    number INTEGER PRIMARY KEY, role TEXT NOT NULL, digest BLOB NOT NULL, scope TEXT NOT NULL, device INTEGER,
    description TEXT NOT NULL, created_at_ns INTEGER NOT NULL, created_by TEXT NOT NULL, expires_at_ns INTEGER,
    revoked_at_ns INTEGER, revoked_by TEXT NOT NULL, checksum INTEGER
);
CREATE INDEX access_key_device ON access_key (device) WHERE device IS NOT NULL;
CREATE TABLE key_use (piece INTEGER PRIMARY KEY, minutes BLOB NOT NULL);
"""
_AUDIT = """
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, address TEXT NOT NULL,
    request_id TEXT NOT NULL, times INTEGER NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE audit_chain (
    anchor_number INTEGER NOT NULL, anchor_hash BLOB NOT NULL, last_number INTEGER NOT NULL, last_hash BLOB NOT NULL
);
INSERT INTO audit_chain VALUES (0, zeroblob(32), 0, zeroblob(32));
"""
_ISSUER_KEYS = """
CREATE TABLE issuer_keys (url TEXT PRIMARY KEY, body BLOB NOT NULL, read_at_ns INTEGER NOT NULL) WITHOUT ROWID;
"""
_ENROLMENTS = """
CREATE TABLE enrolment_key (
    number INTEGER PRIMARY KEY, uses_max INTEGER NOT NULL, uses INTEGER NOT NULL, pattern TEXT NOT NULL,
    labels TEXT NOT NULL, takes TEXT NOT NULL
);
CREATE TABLE enrolment (
    device INTEGER PRIMARY KEY, enrolment_key INTEGER NOT NULL, device_key INTEGER NOT NULL, secret_hash BLOB NOT NULL,
    at_ns INTEGER NOT NULL
);
"""
_ALERT_RULES = """
CREATE TABLE alert_rule (
    name TEXT PRIMARY KEY, body TEXT NOT NULL, origin TEXT NOT NULL, changed_at_ns INTEGER NOT NULL,
    is_removed INTEGER NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
"""
_OUTBOX = """
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, receiver TEXT NOT NULL, kind TEXT NOT NULL,
    at_ns INTEGER NOT NULL, about TEXT NOT NULL, body BLOB NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL,
    next_try_ns INTEGER NOT NULL, outcome TEXT NOT NULL, ended_at_ns INTEGER NOT NULL
);
CREATE INDEX message_state ON message (state, receiver, number);
CREATE TABLE forwarded (
    receiver TEXT NOT NULL, alert INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (receiver, alert)
) WITHOUT ROWID;
CREATE TABLE used_link (digest BLOB PRIMARY KEY, at_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE receiver_or_route (
    kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, is_removed INTEGER NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""
_ALERTS = """
CREATE TABLE alert_name (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE alert_piece (
    piece INTEGER PRIMARY KEY, open INTEGER NOT NULL, ended_at_ns INTEGER NOT NULL, layout INTEGER NOT NULL,
    rows BLOB NOT NULL
);
CREATE TABLE alert_pending (rule TEXT PRIMARY KEY, groups TEXT, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE alert_round (
    next_number INTEGER NOT NULL, planner BLOB NOT NULL, rules TEXT NOT NULL, told_blind_ns INTEGER NOT NULL
);
INSERT INTO alert_round VALUES (1, x'', '[]', 0);
CREATE TABLE alert_decision (
    alert INTEGER PRIMARY KEY, acknowledged_by TEXT NOT NULL, acknowledged_at_ns INTEGER NOT NULL,
    assignee TEXT NOT NULL, snoozed_until_ns INTEGER NOT NULL
);
CREATE TABLE alert_note (
    alert INTEGER NOT NULL, at_ns INTEGER NOT NULL, action TEXT NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX alert_note_alert ON alert_note (alert);
CREATE TABLE incident (
    number INTEGER PRIMARY KEY, rule TEXT NOT NULL, severity TEXT NOT NULL, label TEXT NOT NULL, value TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL, ended_at_ns INTEGER NOT NULL, devices INTEGER NOT NULL, members INTEGER NOT NULL,
    explanation TEXT NOT NULL
);
CREATE TABLE silence (
    number INTEGER PRIMARY KEY, labels TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
    comment TEXT NOT NULL, created_by TEXT NOT NULL, created_at_ns INTEGER NOT NULL
);
"""
_BADGES = """
CREATE TABLE badge (
    number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, device INTEGER, labels TEXT NOT NULL,
    description TEXT NOT NULL, created_at_ns INTEGER NOT NULL, created_by TEXT NOT NULL
);
CREATE INDEX badge_device ON badge (device) WHERE device IS NOT NULL;
"""
_MOVES = """
CREATE TABLE move (
    state TEXT NOT NULL, id TEXT NOT NULL, identity TEXT NOT NULL, other TEXT NOT NULL, at_ns INTEGER NOT NULL,
    position INTEGER NOT NULL, transactions INTEGER NOT NULL
);
"""
_NUMBERS_USED = """
CREATE TABLE number_used (kind TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO number_used SELECT name, seq FROM sqlite_sequence WHERE name IN ('message', 'badge');
"""
_EARLIER_POLICIES = """
ALTER TABLE manifest ADD COLUMN catalog_version INTEGER NOT NULL DEFAULT 0;
CREATE TABLE earlier_policy (version INTEGER, device INTEGER, policies TEXT NOT NULL, PRIMARY KEY (version, device));
"""
STEPS = (
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
    _BEAT_GAPS,
    _POLICIES,
    _PEOPLE,
    _KEYS,
    _AUDIT,
    _ISSUER_KEYS,
    _ENROLMENTS,
    _ALERT_RULES,
    _OUTBOX,
    _ALERTS,
    _BADGES,
    CATALOG_CHANGES,
    _MOVES,
    LEASE,
    _NUMBERS_USED,
    _EARLIER_POLICIES,
    FORGET_ORDERS,
)
"""Never change a step: catalogs in use were made by it. A change of the tables is a further step."""
VERSION = len(STEPS)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring an older or new catalog to VERSION, in one transaction. Returns the version that it had.

    A catalog of a newer version is left as it is. Raises: sqlite3.DatabaseError: the file is no SQLite file.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version < VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(STEPS[version:])} PRAGMA user_version={VERSION}; COMMIT;")
    return version
