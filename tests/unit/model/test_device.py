import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.model.device import Device, check_device, is_device_id, unknown_id_advice
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy


@given(st.text(alphabet="aZ09._~:@+=,-", min_size=1, max_size=128).filter(lambda text: text not in (".", "..")))
def test_any_text_of_characters_that_need_no_escape_in_a_path_is_an_id(text: str) -> None:
    assert is_device_id(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a b", "a%20", "a?", "é", "a\n", "x" * 129])
def test_anything_else_is_no_id_and_the_error_says_what_one_is(text: str) -> None:
    assert not is_device_id(text)
    with pytest.raises(ValueError, match="is no device id; expected 1 to 128 of the characters") as raised:
        check_device(Device(text))
    assert len(str(raised.value)) < 500
    assert unknown_id_advice(text) == str(raised.value)


def test_who_asks_for_an_unknown_device_is_told_how_to_declare_it() -> None:
    advice = unknown_id_advice("press-07")
    assert "`fleetpulse devices add press-07`" in advice
    assert 'POST {"id": "press-07"} to /api/v1/devices' in advice
    assert "start the service with --auto-register" in advice
    assert "its first report declares it" in unknown_id_advice("press-07", registers_itself=True)


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (Device("a", interval_s=0), "interval must be 1s to 2678400s, not 0s"),
        (Device("a", interval_s=2_678_401), "interval must be"),
        (Device("a", grace_s=-1), "grace must be 0s to 604800s, not -1s"),
        (Device("a", grace_s=604_801), "grace must be"),
        (Device("a", note="n" * 2_001), "note must be at most 2000 characters"),
        (Device("a", note="\0"), "NUL"),
        (Device("a", {f"l{number}": "x" for number in range(65)}), "65 labels are more than 64"),
        (Device("a", {"1": "x"}), "label name `1` must be a letter"),
        (Device("a", {"site": ""}), "label site must have 1 to 200 characters"),
        (Device("a", {"site": "x" * 201}), "label site"),
        (Device("a", {"site": "\0"}), "label site"),
    ],
)
def test_a_wrong_device_is_refused_with_what_is_expected(device: Device, text: str) -> None:
    check_device(Device("a", {"site": "x" * 200}, 2_678_400, 604_800, "n" * 2_000))
    with pytest.raises(ValueError, match=text):
        check_device(device)


def test_a_device_takes_from_the_default_policy_what_it_leaves_out() -> None:
    default = HeartbeatPolicy(60, 240)
    assert Device("a").policy(default) == default
    assert Device("a", interval_s=300).policy(default) == HeartbeatPolicy(300, 240)
    assert Device("a", grace_s=0).policy(default) == HeartbeatPolicy(60, 0)
