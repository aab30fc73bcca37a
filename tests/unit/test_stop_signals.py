"""What signals ask for, and how long a stop may take."""

import signal
import threading

import pytest

from fleetpulse.stop_signals import StopSignals


def test_the_first_signal_stops_and_the_second_ends_at_once() -> None:
    ends: list[int] = []
    calls: list[str] = []
    signals = StopSignals(5, end_process=ends.append)
    assert signals.left_s == 5
    signals.handle(on_stop=lambda: calls.append("stop"), on_reload=lambda: calls.append("reload"))
    signals.hear(signal.SIGHUP)
    signals.hear(signal.SIGTERM)
    assert (calls, ends) == (["reload", "stop"], [])
    assert 0 < signals.left_s < 5
    signals.hear(signal.SIGINT)
    assert (calls, ends) == (["reload", "stop"], [130])


def test_a_signal_that_came_early_stops_whoever_asks_later() -> None:
    signals = StopSignals(5, end_process=lambda status: None)
    signals.hear(signal.SIGHUP)
    signals.hear(signal.SIGTERM)
    calls: list[str] = []
    signals.handle(on_stop=lambda: calls.append("stop"), on_reload=lambda: None)
    assert calls == ["stop"]


@pytest.mark.parametrize("is_closed", [False, True])
def test_the_time_to_stop_ends_the_process(is_closed: bool) -> None:  # a parameter of the test
    ends: list[int] = []
    signals = StopSignals(0.01, end_process=ends.append)
    signals.is_closed = is_closed
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with signals.listening():
            assert not ends
        for thread in threading.enumerate():
            if thread.name == "signals":
                thread.join(5)
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert ends == [0 if is_closed else 4]


def test_what_still_runs_is_named_by_its_stage() -> None:
    signals = StopSignals(5)
    signals.stage = "open requests"
    assert signals.running()[0] == "stage: open requests"
