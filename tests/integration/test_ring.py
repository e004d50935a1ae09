"""The ring as a cluster has it: API, controller and workers as separate processes over PostgreSQL and Redis."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import free_port, hqnas, redis_server, wait_until
from sqlalchemy import Engine, func, select

from hqnas import Client
from hqnas.export import to_csv
from models import Evaluation, UnitOfWork, Worker
from models.states import EvaluationState

pytestmark = pytest.mark.integration

SPEC: dict[str, Any] = {
    "name": "ring",
    "dataset": {"name": "iris"},
    "space": {
        "qubits": [1, 2],
        "layers": [1, 2],
        "rotations": [["ry"], ["ry", "rz"]],
        "learning_rate": {"min": 0.01, "max": 0.2, "log": True},
    },
    "training": {"epochs": 2, "batch_size": 128},
    "metrics": {"expressibility": {"samples": 200}, "gradient_variance": {"batch_size": 2}},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}, {"metric": "gradient_variance"}],
    "algorithm": {"population": 6, "generations": 3, "seed": 3},
}


@pytest.fixture
def environment(engine: Engine, database_url: str, cache: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a cluster on the empty test database and a Redis of the test's own."""
    assert engine is not None
    with redis_server(tmp_path) as broker_url:
        yield {
            "HQNAS_DATABASE_URL": database_url,
            "HQNAS_BROKER_URL": broker_url,
            "HQNAS_HOME": str(tmp_path),
            "HQNAS_CACHE": str(cache),
        }


@contextlib.contextmanager
def cluster(folder: Path, environment: dict[str, str], *, n_workers: int) -> Iterator[Client]:
    """Runs API, controller and workers, and yields a client once the workers are known."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(hqnas(folder, environment, "api", "api", "--port", str(port)))
        stack.enter_context(hqnas(folder, environment, "controller", "controller"))
        for i in range(n_workers):
            stack.enter_context(hqnas(folder, environment, f"worker-{i}", "worker", "--slots", "1", "--name", f"w{i}"))
        with Client(f"http://127.0.0.1:{port}") as client:
            yield client


def front_of(client: Client, spec: dict[str, Any]) -> str:
    """Runs a search to its end and returns its front as CSV."""
    search = client.wait(client.submit(spec).id)
    assert search.state == "finished", search.reason
    front = client.front(search.id)
    return to_csv(front.items, front.objectives)


def test_one_worker_and_three_give_the_same_front_to_the_byte(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    with cluster(tmp_path, environment, n_workers=1) as client:
        one = front_of(client, SPEC)
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE candidates, generations, evaluations, searches CASCADE")
    with cluster(tmp_path, environment, n_workers=3) as client:
        three = front_of(client, SPEC)
    assert one.count("\n") > 2
    assert one == three


def running(engine: Engine) -> list[Evaluation]:
    with UnitOfWork(engine) as work:
        return list(work.session.scalars(select(Evaluation).where(Evaluation.state == EvaluationState.RUNNING)))


def test_a_confirmation_finishes_though_the_process_that_measures_is_killed(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    training = {"epochs": 2, "batch_size": 8}
    with cluster(tmp_path, environment, n_workers=0) as client:
        search = client.submit({**SPEC, "training": training, "budget": {"evaluations": 4}})
        with hqnas(tmp_path, environment, "worker", "worker", "--slots", "1", "--name", "w") as worker:
            assert client.wait(search.id).state == "finished"
            best = client.front(search.id).best()
            assert best is not None
            asked = client.confirm(search.id, seeds=3, members=[best.id], epochs=40)
            wait_until(lambda: bool(running(engine)), "a running confirmation")
            (measured,) = running(engine)
            (child,) = psutil.Process(worker.pid).children()
            os.kill(child.pid, signal.SIGKILL)
            *_, found = client.watch_confirmation(search.id, number=asked.number, interval_s=0.2)
    assert (found.state, found.n_measured) == ("finished", 1), found.reason
    assert all(len(arm.trials) == 3 for arm in found.members[0].arms if not arm.is_void)
    assert found.members[0].sentence
    with UnitOfWork(engine) as work:
        again = work.session.get_one(Evaluation, measured.id)
        assert (again.state, again.crash_count, again.attempt) == (EvaluationState.SUCCEEDED, 1, 2)


def test_a_worker_whose_idle_process_is_killed_still_does_the_next_search(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    local = {**environment, "HQNAS_BROKER_URL": f"filesystem://{tmp_path}/broker", "HQNAS_RENEW_S": "1"}
    with cluster(tmp_path, local, n_workers=0) as client:
        worker = ("worker", "worker", "--slots", "1", "--name", "w")
        with hqnas(tmp_path, local, *worker) as process:
            client.wait(client.submit({**SPEC, "budget": {"evaluations": 4}}).id)
            (child,) = psutil.Process(process.pid).children()
            child.kill()
            search = client.submit({**SPEC, "name": "next", "training": {"epochs": 1}})
            # The launcher, or a container's restart policy, starts it again.
            wait_until(lambda: process.poll() is not None, "the stuck worker to end")
        with hqnas(tmp_path, local, *worker):
            assert client.wait(search.id).state == "finished"


def test_small_candidates_are_computed_in_bundles(tmp_path: Path, environment: dict[str, str], engine: Engine) -> None:
    with cluster(tmp_path, environment, n_workers=1) as client:
        search = client.wait(client.submit(SPEC).id)
        assert search.engines == {"1": "batched", "2": "batched"}
    with UnitOfWork(engine) as work:
        sizes = list(work.session.scalars(select(func.count()).select_from(Evaluation).group_by(Evaluation.message_id)))
    assert sum(sizes) == 18
    assert max(sizes) > 1


def test_a_worker_measures_its_engines_once_and_makes_them_known(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    own_cache = {**environment, "HQNAS_CACHE": str(tmp_path / "cache")}
    with contextlib.ExitStack() as stack:
        for name in ("a", "b"):
            stack.enter_context(hqnas(tmp_path, own_cache, name, "worker", "--slots", "1", "--name", name))
        wait_until(lambda: len(calibrations(engine)) == 2, "both workers")
    first, second = calibrations(engine)
    assert first == second
    assert set(first["times"]) == {"batched", "lightning.qubit"}
    logs = "".join((tmp_path / f"{name}.log").read_text() for name in ("a", "b"))
    assert logs.count("calibration_measured") == 1


def calibrations(engine: Engine) -> list[dict[str, Any]]:
    with UnitOfWork(engine) as work:
        return [one for one in work.session.scalars(select(Worker.calibration)) if one is not None]
