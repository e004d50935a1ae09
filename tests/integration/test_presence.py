"""A worker's presence: what its thread does, and what may happen meanwhile."""

import os
import threading

import pytest
from processes import PATIENCE_S, wait_until
from sqlalchemy import Engine

from config.settings import Settings
from worker.presence import Presence


class Counting:
    """A keeper whose looks are counted."""

    def __init__(self) -> None:
        self.n_looks = 0

    def look(self) -> None:
        self.n_looks += 1

    def renew(self) -> None:
        pass


class Pausing:
    """A keeper whose first look lasts until it may go on."""

    def __init__(self) -> None:
        self.is_looking = threading.Event()
        self.may_go_on = threading.Event()

    def look(self) -> None:
        self.is_looking.set()
        assert self.may_go_on.wait(PATIENCE_S)

    def renew(self) -> None:
        pass


def fork_and_end(has_forked: threading.Event) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    has_forked.set()
    os.waitpid(child, 0)


def presence_of(engine: Engine, settings: Settings, keeper: Counting | Pausing) -> Presence:
    return Presence(
        engine,
        settings,
        worker="w",
        device="cpu",
        n_slots=1,
        calibration=None,
        keeper=keeper,  # type: ignore[arg-type]  # all that it uses
        is_leaving=threading.Event(),
        is_stuck=lambda: False,
        n_stuck_beats=3,
        restart=lambda: None,
    )


def test_no_process_is_forked_while_the_thread_works(engine: Engine, settings: Settings) -> None:
    keeper, has_forked = Pausing(), threading.Event()
    presence = presence_of(engine, settings, keeper)
    presence.enter()
    assert keeper.is_looking.wait(PATIENCE_S)
    forking = threading.Thread(target=fork_and_end, args=(has_forked,))
    forking.start()
    # Waits in vain, unless the fork does not wait.
    was_forked = has_forked.wait(1.0)
    keeper.may_go_on.set()
    forking.join(PATIENCE_S)
    presence.leave()
    assert not was_forked
    assert has_forked.is_set()


def test_a_new_process_is_looked_at_at_once(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.presence._LOOK_S", 10 * PATIENCE_S)
    keeper = Counting()
    presence = presence_of(engine, settings.model_copy(update={"renew_s": 10 * PATIENCE_S}), keeper)
    presence.enter()
    wait_until(lambda: keeper.n_looks > 0, "the first look")
    seen = keeper.n_looks
    fork_and_end(threading.Event())
    wait_until(lambda: keeper.n_looks > seen, "a look at the new process")
    presence.leave()
