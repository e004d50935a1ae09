"""A backup of the database is a backup of everything: what was found, and what was under way."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import made_up
import pytest
from commands import commands_of
from measured import begin, finish
from sqlalchemy import Engine, make_url, select, text
from starlette.testclient import TestClient

from api.app import create_app
from config.settings import Settings
from hqnas.launcher.cluster import find_program
from models import Evaluation, UnitOfWork, connect
from models.states import EvaluationState, SearchState
from worker.check import check
from worker.sweep import sweep

pytestmark = pytest.mark.integration

DUMP, RESTORE = commands_of("pg_dump"), commands_of("pg_restore")


@pytest.fixture
def restored_url(engine: Engine, database_url: str) -> Iterator[str]:
    """An empty database to restore into, as createdb makes it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE restored"))
        yield make_url(database_url).set(database="restored").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE restored WITH (FORCE)"))


@pytest.fixture
def restored(restored_url: str) -> Iterator[Engine]:
    engine = connect(restored_url, application="test")
    yield engine
    engine.dispose()


def run(command: str, folder: Path, url: str) -> None:
    """Runs a command of docs/operations.md, with the programs of the wheel."""
    programs = find_program("pg_dump").parent
    environment = {**os.environ, "HQNAS_DATABASE_URL": url, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_a_dump_restores_answers_every_request_alike(
    engine: Engine, settings: Settings, restored_url: str, tmp_path: Path
) -> None:
    search = finish(engine, begin(engine))
    assert search.state == SearchState.FINISHED

    run(DUMP, tmp_path, settings.require_database_url())
    run(RESTORE, tmp_path, restored_url)

    with UnitOfWork(engine) as work:
        front = work.candidates.front(search.id)
    place = f"/v1/searches/{search.id}"
    paths = [place, *(f"{place}/{part}" for part in ("front", "candidates?limit=500", "generations"))]
    paths += [f"{start}/candidates/{one.id}{end}" for one in front for start, end in (("/v1", ""), (place, "/weights"))]
    here = settings
    there = settings.model_copy(update={"database_url": type(settings.database_url)(restored_url)})
    with TestClient(create_app(here)) as before, TestClient(create_app(there)) as after:
        assert front
        for path in paths:
            assert before.get(path).status_code == 200, before.get(path).text
            assert before.get(path).content == after.get(path).content, path
        assert after.get("/ready").json()["schema_is_current"]


def test_a_dump_taken_in_mid_run_goes_on_to_the_same_result_with_nothing_that_was_there(
    engine: Engine, restored: Engine, restored_url: str, settings: Settings, tmp_path: Path
) -> None:
    search = begin(engine)
    computing, rung = made_up.pending(engine)[:2]
    with UnitOfWork(engine) as work:
        assert work.evaluations.claim([computing.id], worker="gone@elsewhere", lease_s=0.001)
        assert work.queue.dispatch([[rung.id]])
        work.workers.stop("here")
        work.commit()
    run(DUMP, tmp_path, settings.require_database_url())
    with UnitOfWork(engine) as work:
        work.evaluations.release("gone@elsewhere")
        work.queue.undispatch([rung.id])
        work.workers.beat("here")
        work.commit()
    undisturbed = made_up.outcome(engine, finish(engine, search))

    run(RESTORE, tmp_path, restored_url)
    assert states(restored) >= {EvaluationState.RUNNING, EvaluationState.DISPATCHED, EvaluationState.PENDING}
    with UnitOfWork(restored) as work:
        work.workers.register("fresh", device="cpu", n_slots=1, hardware={}, versions={})
        work.commit()
    assert sweep(restored, settings.model_copy(update={"rering_s": 0.001})) == 2
    assert finish(restored, search, worker="fresh").state == SearchState.FINISHED

    assert made_up.outcome(restored, search) == undisturbed
    with UnitOfWork(restored) as work:
        again = work.session.get_one(Evaluation, computing.id)
        assert (again.lost_count, again.attempt) == (1, 2)
    with UnitOfWork(restored) as work:
        assert check(work, settings) == []


def states(engine: Engine) -> set[str]:
    with UnitOfWork(engine) as work:
        return set(work.session.scalars(select(Evaluation.state)))
