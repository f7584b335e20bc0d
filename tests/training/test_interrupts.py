import os
import signal
import subprocess
import sys
import threading

import pytest

from pipeline.processes import ENDING_SIGNALS
from pipeline.training.interrupts import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_and_the_second_does_not(number: int) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        assert not interrupts.stop
        os.kill(os.getpid(), number)
        assert interrupts.stop
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_notices_may_come_several_at_a_time(number: int) -> None:
    """A lost terminal's shell and its kernel each send one; systemd sends SIGHUP after SIGTERM."""
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert interrupts.stop


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_one_of_several_processes_finishes_its_step(number: int) -> None:
    with Interrupts(at_once=False) as interrupts:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert interrupts.stop


UNDER_NOHUP = """
import os, signal
from pipeline.processes import interrupt_on_signals
from pipeline.training.interrupts import Interrupts
interrupt_on_signals()
os.kill(os.getpid(), signal.SIGHUP)
with Interrupts() as interrupts:
    os.kill(os.getpid(), signal.SIGHUP)
    assert not interrupts.stop
try:
    os.kill(os.getpid(), signal.SIGUSR1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_under_nohup_a_lost_terminal_stops_nothing() -> None:
    command = ["nohup", sys.executable, "-c", UNDER_NOHUP]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == "interrupted\n", ended.stderr


def test_in_another_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with Interrupts() as interrupts:
            seen.append((interrupts.stop, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
