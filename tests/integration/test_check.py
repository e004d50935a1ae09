"""A check of a real database: silent on whatever searches do, and never on a planted fault."""

from typing import Any

import pytest
from made_up import EPOCHS, SETTINGS, SPEC, advance_all, pending, reload, settle, submit
from sqlalchemy import Engine, text

from models import UnitOfWork
from models.states import SearchState
from worker.check import Report, examine

AT_ONCE = {"training": {"epochs": EPOCHS}}
AGAIN = {"algorithm": {**SPEC["algorithm"], "reevaluate": {}}}


def look(engine: Engine, **options: Any) -> Report:
    with UnitOfWork(engine) as work:
        return examine(work, SETTINGS, **{"is_served": True, **options})


@pytest.mark.parametrize(
    "changes", [AT_ONCE, {}, AGAIN, {**AT_ONCE, **AGAIN}], ids=["plain", "staged", "again", "both"]
)
def test_nothing_is_wrong_with_a_search_at_any_moment(engine: Engine, changes: dict[str, Any]) -> None:
    search = submit(engine, **changes)
    assert look(engine).violations == ()
    advance_all(engine)
    while waiting := pending(engine):
        assert look(engine).violations == ()
        settle(engine, waiting[:5], fails=lambda one: one.genome_digest < "2")
        assert look(engine).violations == ()
        advance_all(engine)
    found = look(engine)
    assert (found.violations, found.notes, found.n_searches) == ((), (), 1)
    assert reload(engine, search).state == SearchState.FINISHED


def test_a_result_of_another_attempt_is_found(engine: Engine) -> None:
    submit(engine, **AT_ONCE)
    advance_all(engine)
    settle(engine, pending(engine)[:1])
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET attempt = 2 WHERE state = 'succeeded'"))
    (found,) = look(engine).violations
    assert (found.invariant, "attempt 1, and its last attempt was 2" in found.message) == ("I2", True)
