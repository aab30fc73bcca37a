"""The threads: their names, who comes first where processors are short, and how they end."""

import os
import sys
import threading
from concurrent.futures import CancelledError, Executor

import pytest

from fleetpulse.pipeline.threads import FILES_NICENESS, QUESTIONS_NICENESS, Threads, journal_thread


def executors_of(threads: Threads) -> dict[str, Executor]:
    return {name: one for name, one in vars(threads).items() if isinstance(one, Executor)}


def current_name() -> str:
    return threading.current_thread().name


def test_every_executor_has_one_thread_that_carries_its_name() -> None:
    threads = Threads()
    executors = {name.replace("_", "-"): executor for name, executor in executors_of(threads).items()}
    for name, executor in executors.items():
        names = {executor.submit(current_name).result() for _ in range(3)}
        assert names == {f"{name}_0"}
    threads.close()


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_what_writes_gives_way_to_the_loop_and_what_answers_to_both() -> None:
    threads = Threads()
    found = {name: executor.submit(niceness).result() for name, executor in executors_of(threads).items()}
    threads.close()
    own, is_linux = niceness(), sys.platform == "linux"
    assert found.pop("catalog") == found.pop("lease") == own
    assert found.pop("files") == min(own + FILES_NICENESS * is_linux, 19)
    assert set(found.values()) == {min(own + QUESTIONS_NICENESS * is_linux, 19)}


def test_closing_waits_for_what_has_begun_and_cancels_questions_that_wait() -> None:
    threads = Threads()
    is_over = threading.Event()
    begun = threads.big_questions.submit(is_over.wait, 10)
    waiting = threads.big_questions.submit(current_name)
    written = threads.files.submit(current_name)
    closing = threading.Thread(target=threads.close)
    closing.start()
    with pytest.raises(CancelledError):
        waiting.result(timeout=10)
    is_over.set()
    closing.join(timeout=10)
    assert begun.result() is True
    assert written.result() == "files_0"


def test_a_closed_executor_takes_no_more_work() -> None:
    threads = Threads()
    threads.close()
    for executor in executors_of(threads).values():
        with pytest.raises(RuntimeError):
            executor.submit(current_name)


def test_the_journals_thread_keeps_no_process_alive() -> None:
    thread = journal_thread(lambda: None)
    assert (thread.name, thread.daemon, thread.is_alive()) == ("journal", True, False)
