"""Evaluations that kill, block or fill their process: the search goes on, and nobody else is blamed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_up import candidates, reload, submit
from processes import ending, hqnas, redis_server, wait_until
from sqlalchemy import Engine, select

from models import Candidate, Evaluation, Search, UnitOfWork
from models.states import SEARCH_OPEN, EvaluationState, SearchState

pytestmark = pytest.mark.integration

DRIVER = Path(__file__).with_name("poison_worker.py")
SPEC: dict[str, Any] = {
    "name": "poison",
    "dataset": {"name": "iris"},
    "training": {},
    "objectives": [{"metric": "gates"}],
    "algorithm": {"name": "grid", "population": 8},
    "engine": "batched",
}
BLOCKED = {**SPEC, "space": {"qubits": 3, "layers": [1]}}
HARMLESS = {**SPEC, "space": {"qubits": [2, 3], "layers": [3]}}


@pytest.fixture
def environment(
    engine: Engine, database_url: str, cache: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    """A controller on the empty test database and a broker of the test's own: Redis, or a `folder` if asked for.

    Celery has another pool where its broker is a folder.
    """
    is_folder = getattr(request, "param", "redis") == "folder"
    broker = contextlib.nullcontext(f"filesystem://{tmp_path / 'broker'}") if is_folder else redis_server(tmp_path)
    with broker as broker_url:
        settings = {
            "HQNAS_DATABASE_URL": database_url,
            "HQNAS_BROKER_URL": broker_url,
            "HQNAS_HOME": str(tmp_path),
            "HQNAS_CACHE": str(cache),
            "HQNAS_RENEW_S": "0.5",
        }
        with hqnas(tmp_path, settings, "controller", "controller"):
            yield settings


@contextlib.contextmanager
def worker(
    folder: Path, environment: dict[str, str], name: str, *, slots: int = 1
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(DRIVER), name, str(slots)]
    here = {**os.environ, **environment, "PYTHONPATH": str(DRIVER.parents[2])}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=here, stdout=log, stderr=log)
        with ending(process):
            yield process


def state(engine: Engine, search: Search) -> str:
    return reload(engine, search).state


def evaluation_of(engine: Engine, candidate: Candidate) -> Evaluation:
    with UnitOfWork(engine) as work:
        return work.session.get_one(Evaluation, candidate.evaluation_id)


def running(engine: Engine) -> list[Evaluation]:
    with UnitOfWork(engine) as work:
        return list(work.session.scalars(select(Evaluation).where(Evaluation.state == EvaluationState.RUNNING)))


@pytest.mark.parametrize("environment", ["redis", "folder"], indirect=True)
def test_poison_is_quarantined_with_its_reason_and_its_neighbours_are_unharmed(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    limits = {"HQNAS_TIME_LIMIT_S": "4", "HQNAS_MEMORY_LIMIT_GIB": "1"}
    search = submit(engine, **{**SPEC, "space": {"qubits": [2, 3], "layers": [1, 2, 3, 4]}})
    with worker(tmp_path, {**environment, **limits}, "w", slots=2) as process:
        wait_until(lambda: state(engine, search) not in SEARCH_OPEN or process.poll() is not None, "the search to end")
        assert process.poll() is None
    search = reload(engine, search)
    assert (search.state, search.n_settled, search.n_failed) == (SearchState.FINISHED, 8, 4)
    found = {(one.genome["qubits"], one.genome["layers"]): one for one in candidates(engine, search)}
    last = "its process died 3 times; the last time "
    assert {place: one.error["message"] for place, one in found.items() if one.error} == {
        (2, 2): last + "it was killed by SIGSEGV",
        (2, 4): last + "it exited with status 7",
        (3, 1): last + "it ran longer than 4 s (HQNAS_TIME_LIMIT_S)",
        (3, 2): last + "its process grew beyond 1 GiB (HQNAS_MEMORY_LIMIT_GIB)",
    }
    for place, one in found.items():
        evaluation = evaluation_of(engine, one)
        assert evaluation.lost_count == 0
        # Who has travelled with poison, as those of two qubits do, is blamed with it once, and then travels alone.
        assert evaluation.crash_count == (3 if one.error else int(place[0] == 2)), place
    assert [one.state for place, one in found.items() if place in ((2, 1), (2, 3), (3, 3), (3, 4))] == ["evaluated"] * 4


def test_what_blocks_its_process_is_cancelled_all_the_same_and_nobody_is_blamed(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    blocked = submit(engine, **BLOCKED)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with worker(tmp_path, {**environment, "TMPDIR": str(temporary)}, "w") as process:
        wait_until(lambda: bool(running(engine)), "a running evaluation")
        (child,) = psutil.Process(process.pid).children()
        with UnitOfWork(engine) as work:
            search = work.searches.lock(blocked.team_id, blocked.id)
            assert search is not None
            work.searches.end(search, SearchState.CANCELLED, "asked to")
            work.evaluations.cancel_unwanted(search.id)
            work.commit()
        following = submit(engine, **HARMLESS)
        wait_until(lambda: not child.is_running(), "the blocked process to end")
        wait_until(lambda: state(engine, following) == SearchState.FINISHED, "the next search")
    (candidate,) = candidates(engine, blocked)
    cancelled = evaluation_of(engine, candidate)
    assert (cancelled.state, cancelled.attempt, cancelled.crash_count) == (EvaluationState.CANCELLED, 1, 0)
    assert {evaluation_of(engine, one).crash_count for one in candidates(engine, following)} == {0}
    assert list(temporary.glob("pymp-*")) == []


def test_a_killed_worker_leaves_no_process_behind_and_its_evaluation_is_put_back(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    search = submit(engine, **BLOCKED)
    with worker(tmp_path, {**environment, "HQNAS_LEASE_S": "5"}, "w", slots=2) as process:
        wait_until(lambda: bool(running(engine)), "a running evaluation")
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        process.kill()
        wait_until(lambda: not any(child.is_running() for child in children), "its processes to end")
        wait_until(lambda: not running(engine), "the lease to run out")
    (candidate,) = candidates(engine, search)
    lost = evaluation_of(engine, candidate)
    assert (lost.attempt, lost.lost_count, lost.crash_count) == (1, 1, 0)
