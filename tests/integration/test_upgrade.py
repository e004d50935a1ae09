"""An upgrade: migrations only add, can be cut off anywhere, and leave room for processes of the release before."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import made_up
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from first_release import (
    BEAT,
    CANCEL_WAITING,
    COMPLETE,
    DISPATCH,
    END,
    MOVE_FRONT,
    RECORD_CRASH,
    REGISTER,
    RELEASE,
    STOP,
    SWEEP_LOST,
    SWEEP_UNCLAIMED,
    TELL,
    FirstRelease,
)
from sqlalchemy import Connection, Engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from config.settings import Settings
from models import Evaluation, UnitOfWork, connect
from models.migrate import SchemaAge, alembic_config, migrate, schema_age
from models.states import EvaluationState
from worker.broker import MESSAGE_VERSION, message
from worker.controller import advance_one
from worker.sweep import sweep
from worker.task import evaluate_bundle

REVISIONS = [script.revision for script in ScriptDirectory.from_config(alembic_config("")).walk_revisions()][::-1]
FIRST = "26bf3c90deb4"


@pytest.fixture
def empty_url(engine: Engine, database_url: str) -> Iterator[str]:
    """A second, empty database on the test server."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE upgrade_test"))
        yield make_url(database_url).set(database="upgrade_test").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE upgrade_test WITH (FORCE)"))


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    engine = connect(empty_url, application="test")
    yield engine
    engine.dispose()


@dataclass(frozen=True, slots=True)
class Table:
    """What an older process relies on."""

    columns: dict[str, dict[str, Any]]
    uniques: dict[str, frozenset[str]] = field(default_factory=dict)
    foreign_keys: dict[str, frozenset[str]] = field(default_factory=dict)


def schema_of(engine: Engine) -> dict[str, Table]:
    found = inspect(engine)
    tables = {}
    for name in found.get_table_names():
        uniques = [*found.get_unique_constraints(name), *(one for one in found.get_indexes(name) if one["unique"])]
        tables[name] = Table(
            {column["name"]: dict(column) for column in found.get_columns(name)},
            {str(one["name"]): frozenset(map(str, one["column_names"])) for one in uniques},
            {str(one["name"]): frozenset(one["constrained_columns"]) for one in found.get_foreign_keys(name)},
        )
    return tables


def test_every_migration_only_adds(empty: Engine, empty_url: str) -> None:
    before: dict[str, Table] = {}
    for revision in REVISIONS:
        command.upgrade(alembic_config(empty_url), revision)
        after = schema_of(empty)
        assert before.keys() <= after.keys(), f"{revision} takes a table away"
        for name, old in before.items():
            problems = [*taken_away(old, after[name]), *asked_for(old, after[name])]
            assert not problems, f"{revision}, {name}: {problems}"
        before = after


def taken_away(old: Table, new: Table) -> list[str]:
    """Returns what a reader of the old table misses in the new one."""
    return [
        f"{name} is gone, of another type, or demanded now"
        for name, column in old.columns.items()
        if name not in new.columns
        or str(new.columns[name]["type"]) != str(column["type"])
        or (column["nullable"] and not new.columns[name]["nullable"])
        or (column["default"] is not None and new.columns[name]["default"] is None)
    ]


def asked_for(old: Table, new: Table) -> list[str]:
    """Returns what the new table demands of a writer who only knows the old one. CHECKs are the other tests' part."""
    added = new.columns.keys() - old.columns.keys()
    problems = [
        f"{name} has neither null nor a default"
        for name in added
        if not new.columns[name]["nullable"] and new.columns[name]["default"] is None
    ]
    for before, after in ((old.uniques, new.uniques), (old.foreign_keys, new.foreign_keys)):
        problems += [f"{name} binds old columns" for name in after.keys() - before.keys() if not after[name] & added]
    return problems


def test_a_migration_that_is_cut_off_leaves_the_schema_as_it_was(empty: Engine, empty_url: str) -> None:
    command.upgrade(alembic_config(empty_url), FIRST)
    before = repr(schema_of(empty))
    n_cuts = 0
    with contextlib.suppress(NotCut):
        while True:
            with cut_off(after=1 + 6 * n_cuts):
                migrate(empty_url)
            assert repr(schema_of(empty)) == before
            n_cuts += 1
    assert n_cuts > 3
    assert schema_age(empty) == SchemaAge.CURRENT


class NotCut(Exception):
    """It was over before."""


@contextlib.contextmanager
def cut_off(*, after: int) -> Iterator[None]:
    """Breaks the connection, as a kill does, when the block sends its nth statement that changes the schema."""
    n_sent = 0

    def cut(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal n_sent
        n_sent += statement.lstrip().upper().startswith(("ALTER", "CREATE"))
        if n_sent == after:
            connection.connection.dbapi_connection.close()  # type: ignore[union-attr]  # it has one

    event.listen(Engine, "before_cursor_execute", cut)
    try:
        yield
    except DBAPIError:
        return
    finally:
        event.remove(Engine, "before_cursor_execute", cut)
    raise NotCut


def test_workers_of_the_first_release_and_of_today_serve_one_search_to_the_same_front(engine: Engine) -> None:
    plain = {"training": {"epochs": made_up.EPOCHS}}
    undisturbed = made_up.finished(engine, **plain).outcome
    made_up.empty(engine)
    old = FirstRelease(engine)
    old.say(REGISTER, name=old.worker, n_slots=2)
    search = made_up.submit(engine, **plain)
    made_up.advance_all(engine)
    while waiting := made_up.pending(engine):
        old.say(BEAT, name=old.worker)
        made_up.settle(engine, waiting[1::2])
        for evaluation in waiting[::2]:
            claim = old.claim(evaluation.id)
            assert claim is not None
            assert old.renew(claim)
            assert old.succeed(claim, made_up.result_of(evaluation.genome_digest, evaluation.protocol))
        made_up.advance_all(engine)
    old.say(STOP, name=old.worker)
    assert made_up.reload(engine, search).state == "finished"
    assert made_up.outcome(engine, search) == undisturbed


def test_both_releases_fence_each_other(engine: Engine, settings: Settings) -> None:
    evaluation = waiting_evaluations(engine)[0]
    old = FirstRelease(engine)
    lost = old.claim(evaluation.id, lease_s=-1)
    assert lost is not None
    assert sweep(engine, settings) == 1
    with UnitOfWork(engine) as work:
        (claim,) = work.evaluations.claim([evaluation.id], worker="new", lease_s=60)
        work.commit()
    assert not old.renew(lost)
    assert not old.succeed(lost, {})
    assert not old.fail(lost)
    assert old.say(RELEASE, name="new") == 1
    again = old.claim(evaluation.id)
    with UnitOfWork(engine) as work:
        assert not work.evaluations.succeed(claim, {"late": True})
        work.commit()
    assert again is not None
    assert old.fail(again)


def test_the_first_releases_sweep_and_blame_put_back_what_today_claims(engine: Engine) -> None:
    first, second, third = waiting_evaluations(engine)[:3]
    with UnitOfWork(engine) as work:
        work.evaluations.claim([first.id], worker="new", lease_s=-1)
        work.evaluations.claim([second.id], worker="old@host", lease_s=60)
        work.queue.dispatch([[third.id]])
        work.commit()
    old = FirstRelease(engine)
    assert old.say(SWEEP_LOST, limit=10) == 1
    assert old.say(RECORD_CRASH, id=second.id, name=old.worker, limit=1) == 1
    assert old.say(SWEEP_UNCLAIMED, minus_s=60) == 1
    assert [state_of(engine, one.id) for one in (first, second, third)] == ["pending", "failed", "pending"]


def test_the_first_releases_api_and_controller_can_write_a_whole_search(engine: Engine) -> None:
    old = FirstRelease(engine)
    search_id, evaluations = old.submit_and_propose("a", "b", "c")
    evaluated, failed, _ = evaluations
    for candidate_id in (evaluated, failed):
        assert old.say(DISPATCH, id=evaluations[candidate_id]) == 1
        claim = old.claim(evaluations[candidate_id])
        assert claim is not None
        assert old.succeed(claim, {"metrics": {}}) if candidate_id == evaluated else old.fail(claim)
    assert old.say(TELL, id=evaluated, state="evaluated", objectives=[1.0], violation=0.0) == 1
    assert old.say(TELL, id=failed, state="failed", objectives=None, violation=None) == 1
    assert old.say(MOVE_FRONT, id=evaluated) == 1
    old.say(COMPLETE, id=search_id)
    assert old.say(CANCEL_WAITING, id=search_id) == 1
    assert old.say(END, id=search_id, state="finished") == 1
    with UnitOfWork(engine) as work:
        assert [one.id for one in work.candidates.front(search_id)] == [evaluated]


def test_a_doorbell_too_new_for_a_worker_changes_nothing_and_is_rung_again(engine: Engine, settings: Settings) -> None:
    evaluation = waiting_evaluations(engine)[0]
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={})
        work.queue.dispatch([[evaluation.id]])
        work.commit()
    with capture_logs() as logs:
        evaluate_bundle(**{**message([str(evaluation.id)]), "version": MESSAGE_VERSION + 1})
    assert [line["event"] for line in logs] == ["message_refused"]
    assert state_of(engine, evaluation.id) == EvaluationState.DISPATCHED
    # Not at once, so that workers which cannot take it do not turn in circles with the controller.
    assert sweep(engine, settings) == 0
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET dispatched_at = now() - make_interval(secs => 61)"))
    assert sweep(engine, settings) == 1
    assert state_of(engine, evaluation.id) == EvaluationState.PENDING


def test_a_search_under_other_operators_ends_with_what_to_do_and_its_evaluations_serve_the_next(
    engine: Engine,
) -> None:
    search = made_up.submit(engine)
    made_up.advance_all(engine)
    first = made_up.pending(engine)
    made_up.settle(engine, first)
    with engine.begin() as connection:
        connection.execute(text("""UPDATE searches SET versions = jsonb_set(versions, '{operators}', '"0"')"""))
    while advance_one(engine, made_up.SETTINGS):
        pass
    ended = made_up.reload(engine, search)
    assert (ended.state, str(ended.reason).endswith("what was evaluated is reused")) == ("failed", True)
    made_up.run(engine, made_up.submit(engine))
    assert all(state_of(engine, one.id) == EvaluationState.SUCCEEDED for one in first)
    with UnitOfWork(engine) as work:
        assert {work.session.get_one(Evaluation, one.id).attempt for one in first} == {1}


def waiting_evaluations(engine: Engine) -> Sequence[Evaluation]:
    """Submits a search, and returns what its first generation waits for."""
    made_up.submit(engine)
    made_up.advance_all(engine)
    return made_up.pending(engine)


def state_of(engine: Engine, evaluation_id: uuid.UUID) -> str:
    with UnitOfWork(engine) as work:
        return work.session.get_one(Evaluation, evaluation_id).state
