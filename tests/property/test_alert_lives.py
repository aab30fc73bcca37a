"""The lives of alerts against a plain model: dicts and loops, one subject at a time, whatever happens to it."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from alert_lives import AlertLives, numbers, resolved
from examples import examples
from fleetpulse.alert.columns import AlertColumns, Changes
from fleetpulse.alert.lifecycle import Lives
from fleetpulse.alert.stored_rows import lives_of, pending_of, rows_of
from fleetpulse.model.alert_rule import AlertRule

FLAP_TIMES, FLAP_WITHIN_S, FLAP_QUIET_S = 2, 600, 90
SUBJECTS = 3
TRUE, FALSE, WITHHELD, GONE, RAN = range(5)
Round = tuple[int, bool, bool, tuple[int, ...]]
"""Seconds since the round before, whether the service did not run in them, whether it restarts, what is of each."""


@dataclass
class One:
    """The alert of one subject as the model sees it; `counted_s` is what its timer has counted."""

    number: int = 0
    state: str = "none"
    counted_s: int = 0
    timing: str = ""
    fired_s: list[int] = field(default_factory=list)
    times: int = 0
    is_flapping: bool = False
    ended_s: int | None = None
    was_withheld: bool = False


class Model:
    """Advances each subject by itself."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self.of = {subject: One() for subject in range(SUBJECTS)}
        self.next_number = 1

    def round(self, now_s: int, passed_s: int, found: tuple[int, ...]) -> tuple[dict[int, str], list[int], list[int]]:
        """What ended and why, what fired and what began to flap, by subject."""
        ended: dict[int, str] = {}
        fired: list[int] = []
        flapping: list[int] = []
        for subject, what in enumerate(found):
            one = self.of[subject]
            if one.timing and not one.was_withheld:
                one.counted_s += passed_s
            if one.state == "firing":
                self._firing(one, subject, what, now_s, ended)
            elif what == TRUE:
                if one.state == "none":
                    one.state, one.timing, one.counted_s = "pending", "for", 0
            elif what != WITHHELD:
                one.state, one.timing = "none", ""
            one.was_withheld = what == WITHHELD and one.state != "none"
        for subject in range(SUBJECTS):  # numbers are given in the order of subjects
            one = self.of[subject]
            if one.state == "pending" and not one.was_withheld and one.counted_s >= self.rule.for_s:
                self._fire(one, now_s)
                fired.append(subject)
                if one.is_flapping:
                    flapping.append(subject)
        return ended, fired, flapping

    def _firing(self, one: One, subject: int, what: int, now_s: int, ended: dict[int, str]) -> None:
        if what == TRUE:
            if one.timing == "keep" and one.is_flapping:
                one.times += 1
            one.timing = ""
        elif what == GONE:
            self._end(one, now_s, may_return=False)
            ended[subject] = "removed"
        elif what in (FALSE, RAN):
            if one.timing != "keep":
                one.timing, one.counted_s = "keep", 0
            keep_s = max(FLAP_QUIET_S, self.rule.keep_firing_for_s) if one.is_flapping else self.rule.keep_firing_for_s
            if one.counted_s >= keep_s:
                is_one_silence = not self.rule.keep_firing_for_s and not one.is_flapping
                self._end(one, now_s, may_return=True)
                ended[subject] = "ran" if what == RAN and is_one_silence else "recovered"

    def _end(self, one: One, now_s: int, *, may_return: bool) -> None:
        if one.is_flapping:
            one.fired_s = []
        one.state, one.timing, one.is_flapping = "none", "", False
        one.ended_s = now_s if may_return else None

    def _fire(self, one: One, now_s: int) -> None:
        if one.ended_s is None or now_s - one.ended_s > FLAP_WITHIN_S:
            one.number, one.times, one.fired_s = self.next_number, 0, []
            self.next_number += 1
        one.state, one.timing, one.ended_s = "firing", "", None
        one.times += 1
        one.fired_s = [*one.fired_s, now_s]
        recent = one.fired_s[-FLAP_TIMES:]
        one.is_flapping = len(recent) == FLAP_TIMES and now_s - recent[0] <= FLAP_WITHIN_S


def restarted(lives: Lives) -> Lives:
    """What a restart makes of the state: only what is stored is left."""
    every = AlertColumns.joined([lives.open.taken(lives.open.of["number"] > 0), lives.ended])
    pending_rows = lives.open.of["rule"][lives.open.of["number"] == 0].tolist()
    pending = {lives.rules[place].name: pending_of(lives, place) for place in set(pending_rows)}
    return lives_of(
        rows_of(every, lives.rules, lives.groups), pending, list(lives.rules), next_number=lives.next_number
    )


rounds = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 10, 30, 61, 200]),
        st.booleans(),
        st.booleans(),
        st.tuples(*[st.sampled_from([TRUE, TRUE, FALSE, FALSE, WITHHELD, GONE, RAN])] * SUBJECTS),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=examples(300), deadline=None)
@given(rounds, st.sampled_from([0, 10, 60]), st.sampled_from([0, 10, 60]))
def test_alerts_live_as_a_plain_model_says(lived: list[Round], for_s: int, keep_s: int) -> None:
    rule = AlertRule(name="offline", kind="device_down", for_s=for_s, keep_firing_for_s=keep_s)
    lives = AlertLives(rule, flap_times=FLAP_TIMES, flap_within_s=FLAP_WITHIN_S, flap_quiet_s=FLAP_QUIET_S)
    model, now_s = Model(rule), 0
    for seconds, is_blind, restarts, found in lived:
        if is_blind:
            lives.blind.append((now_s, now_s + seconds))
        if restarts:
            lives.lives = restarted(lives.lives)
        now_s += seconds
        changes = lives.round(
            now_s,
            [subject for subject, what in enumerate(found) if what == TRUE],
            withheld=[subject for subject, what in enumerate(found) if what == WITHHELD],
            absent=[subject for subject, what in enumerate(found) if what == GONE],
            ran=[subject for subject, what in enumerate(found) if what == RAN],
        )
        expected = model.round(now_s, 0 if is_blind else seconds, found)
        assert outcome(changes) == expected, (now_s, found)
        of = lives.lives.open.of
        shown = {
            int(subject): (number, times, bool(is_flapping))
            for subject, number, times, is_flapping in zip(
                of["subject"], of["number"].tolist(), of["times"].tolist(), of["is_flapping"], strict=True
            )
            if number
        }
        firing = {subject: one for subject, one in model.of.items() if one.state == "firing"}
        assert shown == {subject: (one.number, one.times, one.is_flapping) for subject, one in firing.items()}


def outcome(changes: Changes) -> tuple[dict[int, str], list[int], list[int]]:
    """What ended and why, what fired and what began to flap, by subject."""
    of = changes.alerts.of
    subject_of = dict(zip(of["number"].tolist(), of["subject"].tolist(), strict=True))
    ended = {subject_of[number]: why for number, why in resolved(changes).items()}
    places = [changes.fired, changes.flapping]
    fired, flapping = ([subject_of[number] for number in numbers(changes.alerts, one)] for one in places)
    return dict(sorted(ended.items())), fired, flapping
