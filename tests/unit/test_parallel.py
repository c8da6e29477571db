"""The same question to many machines."""

import threading
import time

import pytest

from coreos_kit.errors import Unreachable
from coreos_kit.parallel import on_each


def test_answers_come_in_the_order_of_the_questions() -> None:
    answers = on_each(["slow", "fast"], lambda name: time.sleep(0.1 if name == "slow" else 0) or name.upper())

    assert list(answers.items()) == [("slow", "SLOW"), ("fast", "FAST")]


def test_a_machine_that_is_down_is_one_answer_of_many() -> None:
    error = Unreachable("web2 can't be reached")

    def ask(name: str) -> str:
        if name == "web2":
            raise error
        return "up"

    assert on_each(["web1", "web2", "web3"], ask) == {"web1": "up", "web2": error, "web3": "up"}


def test_a_bug_comes_out_as_it_is() -> None:
    def ask(number: int) -> float:
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        on_each([1, 0, 2], ask)
    with pytest.raises(ZeroDivisionError):
        on_each([0], ask)


def test_no_more_than_so_many_run_at_a_time() -> None:
    running = most = 0
    lock = threading.Lock()

    def ask(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1
        return number

    on_each(range(50), ask, at_a_time=4)

    assert most == 4


def test_nobody_asked_nobody_answers() -> None:
    assert on_each([], len) == {}
