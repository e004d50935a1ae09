"""`hqnas up` killed with a search under way, and started again: the search ends as if nothing had been."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import made_up
import psutil
import pytest
from faults.conftest import Recovery
from launches import command_line
from measured import SPEC, begin, finish
from processes import ending, free_port, wait_until
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from hqnas import Client
from hqnas.launcher.cluster import url_of_running
from models import Evaluation, Search, UnitOfWork, connect, disposing
from models.states import EVALUATION_IN_FLIGHT, EVALUATION_SETTLED, EvaluationState
from worker.check import check

pytestmark = pytest.mark.integration

#: For each kill: more than are evaluated before the next one.
GENERATIONS = 3


@contextlib.contextmanager
def up(home: Path, cache: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs the whole service on a home, as `make serve` does."""
    command = [sys.executable, "-m", "hqnas.cli", "up", "--home", str(home), "--port", str(port), "--slots", "1"]
    environment = {**os.environ, "HQNAS_CACHE": str(cache)}
    with home.with_suffix(".out").open("ab") as output:
        process = subprocess.Popen([*command, "--stop-with-parent"], env=environment, stdout=output, stderr=output)
        with ending(process):
            yield process


@dataclass(frozen=True)
class Struck:
    """How evaluations stood when the worker had been killed."""

    n_attempts: int
    in_flight: dict[uuid.UUID, int]

    def is_over(self, home: Path) -> bool:
        """Whether all that the worker had or was to have was claimed again, and at least one."""
        now = attempts(home, EvaluationState.RUNNING, *EVALUATION_SETTLED)
        is_claimed = all(now.get(one, 0) > attempt for one, attempt in self.in_flight.items())
        return is_claimed and sum(attempts(home, *EvaluationState).values()) > self.n_attempts


def kill(process: "subprocess.Popen[bytes]", home: Path) -> Struck:
    """Kills a launcher, its guard and its worker, so that nobody is left to clean up in order."""
    process.send_signal(signal.SIGSTOP)  # it starts nothing any more
    family = psutil.Process(process.pid).children(recursive=True)
    for one in family:
        if "--name worker" in command_line(one):
            one.kill()
    found = Struck(sum(attempts(home, *EvaluationState).values()), attempts(home, *EVALUATION_IN_FLIGHT))
    for one in family:
        if "hqnas.launcher.guard" in command_line(one):
            one.kill()
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    return found


def attempts(home: Path, *states: str) -> dict[uuid.UUID, int]:
    """The attempts at evaluations in some states; none as long as nobody answers."""
    url = url_of_running(home / "postgres")
    if url is None:
        return {}
    with contextlib.suppress(OperationalError), disposing(connect(url, application="test")) as engine:
        with UnitOfWork(engine) as work:
            rows = work.session.execute(
                select(Evaluation.id, Evaluation.attempt).where(Evaluation.state.in_(states))
            ).all()
        return {row.id: row.attempt for row in rows}
    return {}


def test_a_search_goes_on_to_the_same_result_after_kills_of_everything(
    engine: Engine, cache: Path, tmp_path: Path, recovery: Recovery, repeats: int
) -> None:
    changes = {"algorithm": {**SPEC["algorithm"], "generations": GENERATIONS * repeats}}
    undisturbed = made_up.outcome(engine, finish(engine, begin(engine, **changes)))
    home, port = tmp_path / "home", free_port()
    with Client(f"http://127.0.0.1:{port}") as client:
        with up(home, cache, port) as process:
            search = client.submit({**made_up.SPEC, **SPEC, **changes})
            struck = strike(process, home)
        for n_left in reversed(range(repeats)):
            started = time.monotonic()
            with up(home, cache, port) as process:
                wait_until(lambda s=struck: s.is_over(home), "all that was under way to be claimed")  # type: ignore[misc]
                recovery.record(time.monotonic() - started)
                if n_left:
                    struck = strike(process, home)
                else:
                    assert client.wait(search.id).state == "finished"
                    assert outcome_at(home, search.id) == undisturbed


def strike(process: "subprocess.Popen[bytes]", home: Path) -> Struck:
    """Kills everything once there is a result more."""
    n_before = len(attempts(home, *EVALUATION_SETTLED))
    wait_until(lambda: len(attempts(home, *EVALUATION_SETTLED)) > n_before, "a result")
    return kill(process, home)


def outcome_at(home: Path, search_id: str) -> list[Any]:
    """The outcome of a search, on a database in which all holds that must."""
    url = url_of_running(home / "postgres")
    assert url is not None
    with disposing(connect(url, application="test")) as engine:
        with UnitOfWork(engine) as work:
            assert check(work, Settings(), served_s=math.inf) == []
            found = work.session.get_one(Search, uuid.UUID(search_id))
        return made_up.outcome(engine, found)
