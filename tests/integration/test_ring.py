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
from models import Evaluation, Stage, UnitOfWork, Worker
from models.states import EvaluationState, StageState

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
STAGED: dict[str, Any] = {
    **SPEC,
    "training": {"epochs": 4, "batch_size": 128, "stages": {"epochs": [0, 1], "margin": 0.5}},
    "objectives": [{"metric": "validation_loss"}, {"metric": "expressibility"}],
    "algorithm": {"population": 5, "generations": 3, "seed": 3, "reevaluate": {"factor": 2, "rounds": 1}},
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
def cluster(
    folder: Path, environment: dict[str, str], *, n_workers: int, has_controller: bool = True
) -> Iterator[Client]:
    """Runs API, controller and workers, and yields a client once the workers are known."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(hqnas(folder, environment, "api", "api", "--port", str(port)))
        if has_controller:
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


def told_of(client: Client, search_id: str) -> list[Any]:
    """Returns all that candidates and their stages were told, without ids, counts of attempts and times."""
    found = [client.candidate(one.id) for one in client.candidates(search_id)]
    return [(one.digest, one.state, one.objectives, one.stopped, one.is_on_front, one.stages) for one in found]


def n_stages_passed(engine: Engine) -> int:
    with UnitOfWork(engine) as work:
        passed = select(func.count()).select_from(Stage).where(Stage.state == StageState.PASSED)
        return work.session.scalar(passed) or 0


def test_controllers_killed_between_stages_and_more_workers_change_nothing_that_is_told(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    with cluster(tmp_path, environment, n_workers=1) as client:
        search = client.wait(client.submit(STAGED).id)
        undisturbed, front = told_of(client, search.id), front_of(client, STAGED)
    assert {"evaluated", "stopped"} == {state for _, state, *_ in undisturbed}
    assert {"early", "full", "again"} == {stage.kind for *_, stages in undisturbed for stage in stages}
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE candidates, generations, evaluations, searches CASCADE")
    with cluster(tmp_path, environment, n_workers=3, has_controller=False) as client:
        search_id = client.submit(STAGED).id
        for n_passed in (1, 18):
            with hqnas(tmp_path, environment, f"killed-{n_passed}", "controller") as controller:
                wait_until(lambda n=n_passed: n_stages_passed(engine) >= n, f"{n_passed} stages")
                controller.kill()
        with hqnas(tmp_path, environment, "last", "controller"):
            assert client.wait(search_id).state == "finished"
            assert told_of(client, search_id) == undisturbed
            assert front_of(client, STAGED) == front


def running(engine: Engine) -> list[Evaluation]:
    with UnitOfWork(engine) as work:
        return list(work.session.scalars(select(Evaluation).where(Evaluation.state == EvaluationState.RUNNING)))


def test_a_killed_evaluating_process_is_blamed_and_its_evaluation_runs_again(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    with cluster(tmp_path, environment, n_workers=0) as client:
        search = client.submit({**SPEC, "training": {"epochs": 200, "batch_size": 8}, "budget": {"evaluations": 4}})
        with hqnas(tmp_path, environment, "worker", "worker", "--slots", "1", "--name", "w") as worker:
            wait_until(lambda: bool(running(engine)), "a running evaluation")
            killed = running(engine)
            (child,) = psutil.Process(worker.pid).children()
            os.kill(child.pid, signal.SIGKILL)
            assert client.wait(search.id).state == "finished"
    with UnitOfWork(engine) as work:
        for one in killed:
            again = work.session.get_one(Evaluation, one.id)
            assert (again.state, again.crash_count, again.attempt) == (EvaluationState.SUCCEEDED, 1, 2)


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


def test_a_cancelled_computation_is_abandoned(tmp_path: Path, environment: dict[str, str], engine: Engine) -> None:
    fast = {**environment, "HQNAS_RENEW_S": "0.2"}
    with cluster(tmp_path, fast, n_workers=1) as client:
        endless = client.submit({**SPEC, "training": {"epochs": 10_000, "batch_size": 1}})
        wait_until(lambda: bool(running(engine)), "a running evaluation")
        client.cancel(endless.id)
        assert client.wait(client.submit({**SPEC, "name": "next"}).id).state == "finished"
    assert "evaluation_abandoned" in (tmp_path / "worker-0.log").read_text()


def test_a_stopped_worker_gives_back_what_it_was_computing(
    tmp_path: Path, environment: dict[str, str], engine: Engine
) -> None:
    with cluster(tmp_path, environment, n_workers=0) as client:
        client.submit({**SPEC, "training": {"epochs": 10_000, "batch_size": 1}})
        with hqnas(tmp_path, environment, "worker", "worker", "--slots", "1", "--name", "w"):
            wait_until(lambda: bool(running(engine)), "a running evaluation")
            held = running(engine)[0]
        with UnitOfWork(engine) as work:
            given_back = work.session.get_one(Evaluation, held.id)
            assert given_back.state in (EvaluationState.PENDING, EvaluationState.DISPATCHED)
            assert (given_back.crash_count, given_back.lost_count) == (0, 0)


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
