"""Tasks in threads."""

import threading
from functools import partial

from pipeline.scraping.background import BackgroundTasks


def test_large_tasks_share_one_thread_beside_the_others() -> None:
    """The allocator would keep as much memory for each thread as one of them takes."""
    small, large = list[int](), list[int]()
    both_run = threading.Barrier(3)

    def note(error: BaseException | None) -> None:
        assert error is None

    def run_small() -> None:
        small.append(threading.get_ident())
        both_run.wait()

    with BackgroundTasks(2, threading.Event()) as tasks:
        for _ in range(2):
            tasks.start(run_small, note)
        for _ in range(4):
            tasks.start(lambda: large.append(threading.get_ident()), note, is_large=True)
            tasks.wait_for_one()
        both_run.wait()
        for _ in range(2):
            tasks.wait_for_one()
    assert len(large) == 4
    assert len({*small, *large, threading.get_ident()}) == 4


def test_an_error_goes_to_the_function_for_the_end() -> None:
    errors: list[BaseException | None] = []
    with BackgroundTasks(1, threading.Event()) as tasks:
        tasks.start(partial(int, "x"), errors.append)
        tasks.wait_for_one()
        tasks.start(partial(int, "1"), errors.append)
        tasks.wait_for_one()
    assert [type(error) for error in errors] == [ValueError, type(None)]


def test_the_threads_end_with_the_block() -> None:
    stop = threading.Event()
    before = set(threading.enumerate())
    with BackgroundTasks(3, stop) as tasks:
        tasks.start(stop.wait, lambda error: None)
        assert len(set(threading.enumerate()) - before) == 4
    assert set(threading.enumerate()) <= before
