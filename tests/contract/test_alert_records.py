"""The catalog's promises about alerts: what a round stores is there again, and damage costs what is damaged."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alert_lives import AlertLives
from fleetpulse.alert.columns import ALERT_COLUMNS, AlertColumns
from fleetpulse.alert.lifecycle import Lives
from fleetpulse.alert.stored_rows import lives_of, pending_of, rows_of
from fleetpulse.catalog.acting import Act, acting
from fleetpulse.catalog.alert_records import PIECE, AlertRound
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.alert import AlertDecision, AlertNote, Incident, Silence
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.audit import AuditFilter

Reopen = Callable[[], Catalog]
Spoil = Callable[[str], None]
SLOW = AlertRule(name="slow", kind="device_down", for_s=600)
SITES = AlertRule(name="sites", kind="fleet", by="site")
OFFLINE = AlertRule(name="offline", kind="device_down", severity="critical")
GROUPS = ["site=pâris", "site=lyon"]


def store(catalog: Catalog, lives: AlertLives, **more: Any) -> None:
    """Store what the last round changed."""
    changes, state = lives.changes, lives.lives
    assert changes is not None
    rows = rows_of(changes.alerts.taken(changes.altered), state.rules, state.groups)
    pending = {state.rules[place].name: pending_of(state, place) for place in changes.pending_of}
    catalog.alerts.store(AlertRound(alerts=rows, pending=pending, rules=state.rules[: state.declared], **more))


def restored(catalog: Catalog) -> Lives:
    """What a round goes on from after a start."""
    stored = catalog.alerts.load(ended_from_ns=0)
    assert stored.wrong == ()
    return lives_of(stored.alerts, stored.pending, stored.rules, next_number=stored.next_number)


def same(found: AlertColumns, expected: AlertColumns) -> None:
    for name in set(ALERT_COLUMNS) - {"severity", "value"}:
        np.testing.assert_array_equal(found.of[name], expected.of[name], name)


def test_a_restart_goes_on_where_the_round_was_stored(reopen: Reopen) -> None:
    lives = AlertLives(SLOW, SITES, OFFLINE, flap_times=2)
    for at_s, true in ((0, [1, 3]), (1, [3]), (2, [1, 3]), (3, [3])):
        lives.at_s = at_s
        lives.look(
            lives.condition("offline", true, value=2.5),
            lives.condition("slow", [*true, 2500]),
            lives.condition("sites", [0], groups=GROUPS),
        )
        store(reopen(), lives)
        found = restored(reopen())
        same(found.open, lives.lives.open)
        same(found.ended, lives.lives.ended)
        assert (list(found.rules), found.next_number) == (list(lives.rules), lives.lives.next_number)
        lives.lives = found
    changes = lives.look(lives.condition("sites", [1], groups=["site=rome", "site=pâris"]))
    assert (len(changes.resolved), len(changes.fired)) == (0, 0)


def test_many_alerts_are_stored_in_pieces_and_read_from_the_newest_on(reopen: Reopen) -> None:
    lives = AlertLives(OFFLINE)
    lives.round(0, range(2 * PIECE + 5))
    store(reopen(), lives)
    records = reopen().alerts
    newest = records.piece_before(2**62)
    assert newest is not None
    assert newest.rows["number"].tolist() == list(range(2 * PIECE, 2 * PIECE + 6))
    alert = list(newest.alerts())[-1]
    assert (alert.rule, alert.severity, alert.device, alert.group, alert.state) == (
        *("offline", "critical", 2 * PIECE + 4, "", "firing"),
    )
    older = records.piece_before(2 * PIECE)
    assert older is not None
    assert older.rows["number"].tolist() == list(range(PIECE, 2 * PIECE))
    assert records.piece_before(1) is not None
    assert records.piece_before(0) is None


def test_pieces_of_alerts_that_ended_expire_with_all_that_belongs_to_them(reopen: Reopen) -> None:
    lives = AlertLives(OFFLINE)
    catalog = reopen()
    lives.round(0, range(PIECE))
    store(catalog, lives)
    lives.round(1, [PIECE - 1])
    store(catalog, lives)
    catalog.alerts.decide(AlertDecision(5, "me"), AlertNote(5, 1, "acknowledged", "me", ""))
    assert catalog.alerts.expire(before_ns=lives.now_ns, limit=9) == 0
    assert catalog.alerts.expire(before_ns=lives.now_ns + 1, limit=9) == 1
    assert (catalog.alerts.notes(5), catalog.alerts.decisions([5])) == ([], {})
    left = catalog.alerts.piece_before(2**62)
    assert left is not None
    assert left.rows["number"].tolist() == [PIECE]
    assert restored(catalog).next_number == PIECE + 1


def test_decisions_notes_silences_and_incidents_are_kept(reopen: Reopen) -> None:
    records = reopen().alerts
    decision, note = AlertDecision(7, "ann", 5, "bob", 9), AlertNote(7, 5, "acknowledged", "ann", "é")
    records.decide(decision, note)
    records.note(note._replace(action="commented"))
    silence = Silence(0, (("site", "paris"),), 1, 9, "works", "ann", 0)
    number = records.put_silence(silence)
    assert records.put_silence(silence._replace(comment="more works")) == number + 1
    records.put_silence(silence._replace(number=number, end_ns=5))
    incident = Incident(1, "offline", "critical", "site", "paris", 5, 0, 10, 9, "why")
    records.store(AlertRound(incidents=[incident], planner=b"state", told_blind_ns=4))
    records.store(AlertRound(incidents=[incident._replace(ended_at_ns=7)], unacknowledged=[7, 8]))
    catalog = reopen()
    records = catalog.alerts
    assert records.decisions([1, 7]) == {7: decision._replace(acknowledged_by="", acknowledged_at_ns=0)}
    assert records.notes(7) == [note, note._replace(action="commented")]
    assert [(one.number, one.end_ns, one.comment) for one in records.silences()] == [
        (number, 5, "works"),
        (number + 1, 9, "more works"),
    ]
    assert records.incidents(before=9, limit=9) == [incident._replace(ended_at_ns=7)]
    assert records.incidents(before=1, limit=9) == []
    stored = records.load(ended_from_ns=0)
    assert (stored.planner, stored.told_blind_ns) == (b"state", 4)
    assert catalog.damage() == []


def test_who_decided_stands_in_the_audit_log(reopen: Reopen) -> None:
    catalog = reopen()
    with acting(Act(who="ann", role="operate", action="acknowledgeAlert")):
        catalog.alerts.decide(AlertDecision(7, "ann", 5), AlertNote(7, 5, "acknowledged", "ann", "mine"))
    (entry,) = catalog.audit.piece(AuditFilter(), after=0, limit=9)
    assert (entry.facts.subject, entry.facts.action) == ("alert 7", "acknowledgeAlert")
    assert '"acknowledged_by": "ann"' in entry.facts.after
    assert '"comment": "mine"' in entry.facts.after


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("alert_piece SET rows = x'00'", "alerts 1 to 999 cannot be read"),
        ("alert_piece SET layout = 9", "layout 9, which this fleetpulse does not know"),
        ("alert_pending SET body = x'00'", "pending alerts of rule slow cannot be read"),
        ("alert_pending SET groups = '['", "pending alerts of rule slow cannot be read"),
        ("alert_round SET rules = '['", "rules of the last round cannot be read"),
    ],
)
def test_damage_is_said_and_does_not_keep_rounds_from_going_on(
    reopen: Reopen, spoil: Spoil, damage: str, text: str
) -> None:
    catalog = reopen()
    lives = AlertLives(OFFLINE, SLOW)
    lives.look(lives.condition("offline", [1]), lives.condition("slow", [2]))
    store(catalog, lives)
    spoil(f"UPDATE {damage}")
    stored = catalog.alerts.load(ended_from_ns=0)
    assert len(stored.wrong) == 1
    assert text in stored.wrong[0]
    lives.lives = lives_of(stored.alerts, stored.pending, stored.rules, next_number=stored.next_number)
    lives.look(lives.condition("offline", [1, 4]), lives.condition("slow", [2]))
    store(catalog, lives)
    assert catalog.alerts.load(ended_from_ns=0).wrong == ()
