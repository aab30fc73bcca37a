"""The catalog's promises, on every implementation."""

import sqlite3
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpulse.catalog.catalog import Catalog, Pause, Registered
from fleetpulse.catalog.person_records import PersonRecord
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DamagedData, OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest, SampleBlock
from fleetpulse.model.metric import BUILT_IN, MetricDefinition
from fleetpulse.model.person import Person, Session
from fleetpulse.model.retention import Grace

Reopen = Callable[[], Catalog]


def test_devices_keep_the_number_they_were_given_and_labels_are_replaced(reopen: Reopen) -> None:
    catalog = reopen()
    first = catalog.register([Device("b", {"site": "x"}), Device("a")], devices_max=9, at_ns=5)
    assert first == Registered(array("I", [0, 1]), array("I"))
    again = [Device("a", {"site": "y"}), Device("c"), Device("c", {"last": "wins"}), Device("b")]
    assert catalog.register(again, devices_max=9, at_ns=6) == Registered(array("I", [2]), array("I", [1, 2, 0]))
    assert catalog.register(again, devices_max=9, at_ns=7).new.tolist() == []
    catalog = reopen()
    records = list(catalog.records())
    assert [record.device for record in records] == [
        Device("b"),
        Device("a", {"site": "y"}),
        Device("c", {"last": "wins"}),
    ]
    assert [(record.number, record.created_at_ns) for record in records] == [(0, 5), (1, 5), (2, 6)]
    assert [record.device.id for record in catalog.records_of([2, 0])] == ["c", "b"]


def test_a_device_that_was_deleted_comes_back_with_its_number(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.register([Device("a", {"site": "x"}, 300, 0, "by the door"), Device("b")], devices_max=2, at_ns=1)
    catalog.delete([0], at_ns=2)
    catalog = reopen()
    assert [record.is_deleted for record in catalog.records()] == [True, False]
    assert catalog.register([Device("c")], devices_max=2, at_ns=3).new.tolist() == [2]
    with pytest.raises(OutOfRange):
        catalog.register([Device("a")], devices_max=2, at_ns=4)
    assert catalog.register([Device("a", {}, 60)], devices_max=3, at_ns=4) == Registered(array("I", [0]), array("I"))
    catalog.update({2: Device("c", {"site": "y"}, None, 5, "moved")}, at_ns=7)
    records = list(reopen().records())
    assert [record.device for record in records] == [
        Device("a", {}, 60),
        Device("b"),
        Device("c", {"site": "y"}, None, 5, "moved"),
    ]
    assert not any(record.is_deleted for record in records)


def test_a_registration_that_does_not_replace_leaves_what_is_declared(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.register([Device("a", {"site": "x"}, 300), Device("b")], devices_max=9, at_ns=1)
    catalog.delete([1], at_ns=2)
    again = catalog.register([Device("a"), Device("b"), Device("c")], devices_max=9, at_ns=3, replaces=False)
    assert again == Registered(array("I", [1, 2]), array("I", [0]))
    assert [record.device for record in reopen().records()] == [
        Device("a", {"site": "x"}, 300),
        Device("b"),
        Device("c"),
    ]


def test_metrics_keep_their_number_and_their_kind(reopen: Reopen) -> None:
    catalog = reopen()
    cpu = MetricDefinition(name="cpu", unit="%", lowest=0, highest=100.5)
    assert catalog.put_metric(cpu, metrics_max=2) == 1
    with pytest.raises(OutOfRange, match="metrics_max"):
        catalog.put_metric(MetricDefinition(name="memory"), metrics_max=2)
    with pytest.raises(OutOfRange, match="kind float"):
        catalog.put_metric(MetricDefinition(name="cpu", kind="integer"), metrics_max=2)
    assert catalog.delete_metric("cpu")
    assert not catalog.delete_metric("cpu")
    assert reopen().metrics() == [(0, BUILT_IN, True), (1, cpu, False)]
    catalog = reopen()
    assert catalog.put_metric(MetricDefinition(name="cpu", aggregation="max"), metrics_max=2) == 1
    assert [is_defined for _, _, is_defined in reopen().metrics()] == [True, True]


def test_a_shorter_retention_leaves_a_grace_that_a_longer_one_ends(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.put_metric(MetricDefinition(name="cpu", retention_days=90), metrics_max=2, keep_until_ns=5)
    catalog.put_metric(MetricDefinition(name="cpu", retention_days=90, raw_days=7), metrics_max=2, keep_until_ns=6)
    catalog.put_metric(MetricDefinition(name="cpu", retention_days=30, raw_days=7), metrics_max=2, keep_until_ns=7)
    catalog = reopen()
    assert catalog.retention.graces() == {1: [Grace("raw_days", 90, 6), Grace("retention_days", 90, 7)]}
    catalog.put_metric(MetricDefinition(name="cpu", retention_days=90), metrics_max=2, keep_until_ns=8)
    assert reopen().retention.graces() == {}


def test_people_are_kept_and_their_sessions_end_with_their_password(reopen: Reopen) -> None:
    catalog = reopen()
    alice = Person(name="alice", role="read", scope=(("site", "paris"), ("hall", "2")), created_at_ns=5)
    bob = Person(name="bob", role="admin", is_disabled=True, version=3)
    for person in (bob, alice):
        catalog.people.put(PersonRecord(person, "$argon2id$first"))
    one, two = (
        Session(id=number * 32, person=name, kind="program", generation=0, started_at_ns=1, expires_at_ns=9)
        for number, name in (("1", "alice"), ("2", "bob"))
    )
    catalog.people.begin_session(one)
    catalog.people.begin_session(two)
    catalog = reopen()
    records = catalog.people.people()
    assert records == [PersonRecord(alice, "$argon2id$first"), PersonRecord(bob, "$argon2id$first")]
    assert catalog.people.turn_session(one.id, generation=0)
    assert not catalog.people.turn_session(one.id, generation=0)
    assert not catalog.people.turn_session("3" * 32, generation=0)
    assert {session.id: session.generation for session in catalog.people.sessions()} == {one.id: 1, two.id: 0}
    catalog.people.put(PersonRecord(replace(alice, version=1), "$argon2id$second"), ends_sessions=True)
    assert [session.id for session in catalog.people.sessions()] == [two.id]
    catalog.people.begin_session(one, ended=[two.id])
    catalog.people.remove("alice")
    catalog = reopen()
    assert catalog.people.sessions() == []
    assert [record.person.name for record in catalog.people.people()] == ["bob"]
    catalog.people.end_sessions([two.id])


def test_the_keys_of_issuers_are_kept_as_they_were_last_read(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.people.issuer_keys("https://id.example") is None
    catalog.people.keep_issuer_keys("https://id.example", b"{1}", at_ns=1)
    catalog.people.keep_issuer_keys("https://id.example", b"{2}", at_ns=2)
    catalog.people.keep_issuer_keys("https://other.example", b"{3}", at_ns=3)
    assert reopen().people.issuer_keys("https://id.example") == (b"{2}", 2)


def test_what_a_file_said_is_kept_field_by_field(reopen: Reopen) -> None:
    catalog = reopen()
    assert (catalog.file_read_at("devices"), catalog.last_read("devices", "a")) == (None, None)
    catalog.note_last_read("devices", "a", {"site": "x", "note": None})
    catalog.note_last_read("devices", "a", {"site": "y"})
    catalog.note_last_read("metrics", "a", {"bounds": [0, None]})
    catalog.note_file_read("devices", at_ns=5)
    catalog = reopen()
    assert (catalog.file_read_at("devices"), catalog.file_read_at("metrics")) == (5, None)
    assert catalog.last_read("devices", "a") == {"site": "y", "note": None}
    assert catalog.last_read("metrics", "a") == {"bounds": [0, None]}


def test_many_devices_are_found_and_what_files_said_of_them_is_noted_together(reopen: Reopen) -> None:
    catalog = reopen()
    names = [f"d{number}" for number in range(1_100)]  # several statements, and a piece that is left
    catalog.register([Device(name) for name in names], devices_max=2_000, at_ns=1)
    catalog.note_last_reads("devices", {name: {"site": name, "note": None} for name in names})
    catalog.note_last_reads("devices", {"d1": {"site": "y"}, "new": {}})
    catalog = reopen()
    found = catalog.found([*names, "nobody"])
    assert {name: record.number for name, record in found.items()} == {name: at for at, name in enumerate(names)}
    reads = catalog.last_reads("devices", [*names, "new", "nobody"])
    expected = {name: {"site": name, "note": None} for name in names} | {"d1": {"site": "y", "note": None}, "new": {}}
    assert reads == expected


def test_calls_in_a_transaction_take_effect_together_or_not_at_all(reopen: Reopen) -> None:
    catalog = reopen()

    def change_two_and_fail() -> None:
        with catalog.transaction():
            catalog.register([Device("a")], devices_max=9, at_ns=1)
            catalog.put_metric(MetricDefinition(name="cpu"), metrics_max=9)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        change_two_and_fail()
    with catalog.transaction(is_dry=True):
        catalog.register([Device("a")], devices_max=9, at_ns=1)
        assert catalog.find("a") is not None
    assert (catalog.find("a"), len(catalog.metrics())) == (None, 1)
    with catalog.transaction():
        catalog.register([Device("a")], devices_max=9, at_ns=1)
        catalog.note_file_read("devices", at_ns=1)
    catalog = reopen()
    record = catalog.find("a")
    assert record is not None
    assert (record.device, catalog.file_read_at("devices")) == (Device("a"), 1)


def test_pauses_and_windows_are_kept(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.replace_pauses(3, [Pause(3, 5, 9), Pause(3, 11, None)])
    catalog.replace_pauses(1, [Pause(1, 7, None)])
    weekly = MaintenanceWindow("w", "weekly", {"site": "x"}, (), 5, None, Recurrence((0, 6), 120, 3600, "Europe/Paris"))
    once = MaintenanceWindow("o", "once", {}, ("a",), 5, 9)
    catalog.put_window(weekly)
    catalog.put_window(MaintenanceWindow("o", "first try", {}, ("b",), 1, 2))
    catalog.put_window(once)
    catalog = reopen()
    assert catalog.pauses() == [Pause(1, 7, None), Pause(3, 5, 9), Pause(3, 11, None)]
    assert catalog.windows() == [once, weekly]
    catalog.replace_pauses(3, [])
    assert (catalog.delete_window("w"), catalog.delete_window("w")) == (True, False)
    catalog = reopen()
    assert (catalog.pauses(), catalog.windows()) == ([Pause(1, 7, None)], [once])


def test_a_registration_that_fails_half_way_registers_nobody(reopen: Reopen) -> None:
    def devices() -> Iterator[Device]:
        yield Device("a")
        raise RuntimeError("the file ended badly")

    catalog = reopen()
    with pytest.raises(RuntimeError):
        catalog.register(devices(), devices_max=9, at_ns=1)
    assert list(catalog.records()) == []
    with pytest.raises(OutOfRange, match="devices_max"):
        catalog.register([Device("a"), Device("b")], devices_max=1, at_ns=1)
    assert list(catalog.records()) == []
    assert catalog.register([Device("b"), Device("b")], devices_max=1, at_ns=1).new.tolist() == [0]


def test_the_manifest_is_replaced_whole(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.manifest() == Manifest()
    first = Manifest(
        5,
        20_000,
        7,
        alive_at_ns=6,
        blind_ns=((1, 2), (4, 5)),
        snapshot=BlockFile("s1", 1, "x"),
        presence={19_999: BlockFile("p1", 2, "y"), 20_000: BlockFile("o1", 3, "z")},
        gaps={19_999: (GapFile("q2", 2, "y"), GapFile("q1", 3, "z", 7, 9, 2))},
        samples=(
            SampleBlock("float", 19_999, 1, 5, 7, {"raw": BlockFile("r1", 9, "a"), "hour": BlockFile("h1", 9, "b")}),
            SampleBlock("integer", None, 2, 5, 7, {"raw": BlockFile("r2", 9, "a")}),
        ),
        expired={1: {19_000: 5, 19_001: 0}, 3: {19_000: 7}},
    )
    catalog.commit_manifest(first)
    assert reopen().manifest() == first
    more = replace(first, expired={1: {19_000: 5, 19_001: 0, 19_002: 0}, 3: {19_000: 8}})
    catalog = reopen()
    catalog.commit_manifest(more)
    assert reopen().manifest() == more
    second = Manifest(9, 20_001, 8, snapshot=BlockFile("s2", 4, "x"), presence={19_999: BlockFile("p1", 2, "y")})
    catalog = reopen()
    catalog.commit_manifest(second)
    assert reopen().manifest() == second
    assert {file.name for file in second.files()} == {"s2", "p1"}


def test_a_catalog_of_the_first_version_is_carried_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "c") as connection:
        connection.executescript(VERSION_1)
    connection.close()
    catalog = SqliteCatalog(tmp_path / "c")
    assert [record.device for record in catalog.records()] == [Device("a", {"site": "x"})]
    # No gaps between beats were stored until the snapshot was taken.
    assert catalog.manifest() == Manifest(
        5,
        20_000,
        7,
        snapshot=BlockFile("s1", 1, "x"),
        presence={19_999: BlockFile("p1", 2, "y")},
        beats_exact_from_ns=7,
    )
    assert catalog.metrics() == [(0, BUILT_IN, True)]
    catalog.close()


VERSION_1 = """
CREATE TABLE device (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, labels TEXT NOT NULL);
CREATE TABLE manifest (position INTEGER NOT NULL, open_from_day INTEGER NOT NULL, taken_at_ns INTEGER NOT NULL);
CREATE TABLE block (name TEXT PRIMARY KEY, kind TEXT NOT NULL, day INTEGER, size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL);
INSERT INTO device VALUES (0, 'a', '{"site": "x"}');
INSERT INTO manifest VALUES (5, 20000, 7);
INSERT INTO block VALUES ('s1', 'snapshot', NULL, 1, 'x'), ('p1', 'presence', 19999, 2, 'y');
PRAGMA user_version=1;
"""


def test_a_catalog_of_a_newer_version_or_of_nonsense_is_refused_with_what_to_do(tmp_path: Path) -> None:
    SqliteCatalog(tmp_path / "c").close()
    with sqlite3.connect(tmp_path / "c") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(DamagedData, match="Run the newer version"):
        SqliteCatalog(tmp_path / "c")
    (tmp_path / "d").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DamagedData, match="Restore"):
        SqliteCatalog(tmp_path / "d")


def test_what_is_forgotten_is_recorded_with_the_manifest_that_has_forgotten_it(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.forgotten() == []
    first, second = Forgotten(0, 60, 7, 1, 2), Forgotten(1, 120, 8, 3, 4)
    catalog.commit_manifest(Manifest(5), forgotten=[first])
    catalog.commit_manifest(Manifest(6))
    catalog.commit_manifest(Manifest(7), forgotten=[second])
    assert reopen().forgotten() == [first, second]


def test_a_deletion_ends_pauses_and_lasts_until_the_device_is_declared_again(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.register([Device("a"), Device("b")], devices_max=9, at_ns=5)
    catalog.replace_pauses(0, [Pause(0, 5, 6), Pause(0, 7, None)])
    catalog.replace_pauses(1, [Pause(1, 7, None)])
    catalog.delete([0], at_ns=10)
    catalog.delete([0], at_ns=11)
    assert reopen().pauses() == [Pause(0, 5, 6), Pause(0, 7, 10), Pause(1, 7, None)]
    catalog = reopen()
    assert [record.deletions for record in catalog.records_of([0, 1])] == [((10, None),), ()]
    catalog.register([Device("a")], devices_max=9, at_ns=20)
    catalog.delete([0], at_ns=30)
    catalog = reopen()
    every = list(catalog.records())
    assert [record.deletions for record in every] == [((10, 20), (30, None)), ()]
    parts = [list(catalog.records(numbers)) for numbers in (range(1), range(1, 2), range(2, 9))]
    assert parts == [every[:1], every[1:], []]


def test_every_change_of_a_declaration_counts_once_and_what_changes_nothing_does_not(
    reopen: Callable[[], Catalog],
) -> None:
    catalog, device = reopen(), Device("a")
    before = catalog.declared().version
    catalog.register([device], devices_max=9, at_ns=5)
    assert catalog.declared() == (before + 1, 5)
    catalog.register([device], devices_max=9, at_ns=6)
    catalog.register([Device("a", {"x": "y"})], devices_max=9, at_ns=6, replaces=False)
    assert not catalog.delete_window("none")
    assert catalog.declared() == (before + 1, 5)
    catalog.delete([0], at_ns=7)
    catalog.delete([0], at_ns=8)
    assert catalog.declared() == (before + 2, 7)
    catalog.register([device], devices_max=9, at_ns=9)
    catalog.update({0: Device("a", {"x": "y"})}, at_ns=7)
    catalog.replace_pauses(0, [])
    assert catalog.declared().version == before + 5
    declared = catalog.declared()
    catalog.close()
    assert reopen().declared() == declared


@pytest.mark.parametrize("connect", ["sqlite"], indirect=True)
def test_a_copy_is_a_catalog_with_the_same_devices(reopen: Reopen, tmp_path: Path) -> None:
    catalog = reopen()
    catalog.register([Device("a", {"site": "x"}), Device("b")], devices_max=9, at_ns=5)
    (tmp_path / "copy").mkdir()
    catalog.copy(tmp_path / "copy" / "catalog.sqlite", rest=lambda _: None)
    copied = SqliteCatalog(tmp_path / "copy" / "catalog.sqlite")
    assert list(copied.records()) == list(catalog.records())
    assert copied.transactions() == catalog.transactions()
    copied.close()
