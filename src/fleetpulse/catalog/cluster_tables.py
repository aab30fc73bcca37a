"""Steps of `schema.py` that make the tables with which several nodes share a catalog; each is described there."""

CATALOG_CHANGES = """
CREATE TABLE catalog_change (version INTEGER PRIMARY KEY, tables TEXT NOT NULL, devices TEXT, access_keys TEXT);
CREATE TABLE shared_secret (name TEXT PRIMARY KEY, secret TEXT NOT NULL) WITHOUT ROWID;
"""
LEASE = """
CREATE TABLE lease (holder TEXT NOT NULL, epoch INTEGER NOT NULL, expires_at_ns INTEGER NOT NULL);
INSERT INTO lease VALUES ('', 0, 0);
CREATE TABLE manifest_version (number INTEGER NOT NULL);
INSERT INTO manifest_version VALUES (0);
"""
FORGET_ORDERS = """
CREATE TABLE forget_order (
    id TEXT PRIMARY KEY, device INTEGER NOT NULL, before_ns INTEGER NOT NULL, is_dry INTEGER NOT NULL,
    at_ns INTEGER NOT NULL, state TEXT NOT NULL, minutes INTEGER NOT NULL, samples INTEGER NOT NULL,
    is_written INTEGER NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL
) WITHOUT ROWID;
"""
