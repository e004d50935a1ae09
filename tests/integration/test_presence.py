"""A worker's presence: what its thread does, and what may happen meanwhile."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from processes import PATIENCE_S, ending, wait_until
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from models import UnitOfWork
from models.tables import Worker
from worker.membership import Membership
from worker.presence import _WORK_OR_FORK, Presence

ROOT = Path(__file__).parents[2]


class Counting:
    """A keeper whose looks are counted."""

    def __init__(self) -> None:
        self.n_looks = 0
        self.n_renewed = 0

    def look(self) -> None:
        self.n_looks += 1

    def renew(self) -> None:
        self.n_renewed += 1


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
    about: dict[str, Any] = {"hardware": {}, "versions": {}, "calibration": None}
    return Presence(
        Membership(engine, worker="w", device="cpu", n_slots=1, **about),
        keeper,  # type: ignore[arg-type]  # all that it uses
        period_s=settings.renew_s,
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


def test_leases_are_renewed_also_where_the_beat_cannot_be_recorded(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE workers", None, psycopg.errors.QueryCanceled())

    monkeypatch.setattr("models.workers.Workers.beat", fail)
    monkeypatch.setattr("models.workers.Workers.register", fail)
    keeper = Counting()
    presence = presence_of(engine, settings.model_copy(update={"renew_s": 0.01}), keeper)
    presence.enter()
    wait_until(lambda: keeper.n_renewed > 2, "leases to be renewed")
    presence.leave()


def test_a_worker_leaves_also_from_the_middle_of_a_fork(engine: Engine, settings: Settings) -> None:
    keeper = Counting()
    presence = presence_of(engine, settings, keeper)
    presence.enter()
    wait_until(lambda: keeper.n_looks > 0, "the first look")
    with _WORK_OR_FORK:  # as the fork holds it, whose thread a signal interrupts
        leaving = threading.Thread(target=presence.leave)
        leaving.start()
        leaving.join(PATIENCE_S)
        assert not leaving.is_alive()
        assert not presence._thread.is_alive()


CANNOT_LEAVE = """
import sys
from config.settings import Settings
from models import UnitOfWork
from models.tables import Worker
from worker.membership import Membership
from worker.presence import Presence
from worker.process import run_worker

def leave(self):
    raise ZeroDivisionError

Presence.leave = leave
run_worker(Settings.load(), slots=1, device="cpu", name="w")
"""


@pytest.mark.integration
def test_a_worker_that_cannot_leave_in_order_ends_all_the_same(
    engine: Engine, database_url: str, cache: Path, tmp_path: Path
) -> None:
    settings = {"HQNAS_DATABASE_URL": database_url, "HQNAS_HOME": str(tmp_path), "HQNAS_CACHE": str(cache)}
    process = subprocess.Popen([sys.executable, "-c", CANNOT_LEAVE], env={**os.environ, **settings}, cwd=ROOT)
    with ending(process):
        wait_until(lambda: n_registered(engine) == 1, "the worker to register")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def n_registered(engine: Engine) -> int:
    with UnitOfWork(engine) as work:
        return work.session.scalar(select(func.count()).select_from(Worker)) or 0
