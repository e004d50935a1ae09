"""Any sequence of what controllers, workers and the sweep do to evaluations, against a model in plain Python."""

from collections.abc import Iterator

import pytest
from faults.evaluation_machine import ENOUGH, Machine
from faults.simulation.clock import Clock, make_database
from faults.simulation.database import OpenPassage, connect_through
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def simulated(database_url: str, clock: Clock) -> Iterator[Engine]:
    """A database of this module's own, whose time the machine moves."""
    engine = connect_through(OpenPassage(), clock, make_database(database_url, "state_machine"))
    yield engine
    engine.dispose()


def test_the_tables_do_what_the_model_does_whatever_happens_in_whichever_order(simulated: Engine, clock: Clock) -> None:
    run_state_machine_as_test(lambda: Machine(simulated, clock), settings=ENOUGH)  # type: ignore[no-untyped-call]
