"""The engine that all simulated processes share: every statement and every commit asks the schedule first."""

from typing import Any, Final, Protocol

import psycopg
from faults.simulation.clock import SEARCH_PATH, Clock
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError

from models.tables import DEFAULT_TEAM_ID

#: More than processes that can be inside a transaction at once.
_N_CONNECTIONS: Final = 40

#: A lock that is held is held by a process that stands still, so waiting for it would be for ever.
_OPTIONS: Final = f"-csearch_path={SEARCH_PATH} -clock_timeout=1ms -cjit=off"

_IMPATIENT: Final = "SET LOCAL lock_timeout = '1ms'"

_SET_CLOCK: Final = "SELECT set_config('simulated.now', %s, true)"

_EMPTIED: Final = (
    "confirmation_members", "confirmations", "stages", "candidates", "generations", "evaluations", "searches",
    "workers", "controllers",
)  # fmt: skip


class Passage(Protocol):
    """What stands between a process and the database. Each method may let others run first, or raise."""

    def before_statement(self, sql: str) -> None:
        """Called before a statement is sent."""

    def before_commit(self) -> None:
        """Called before a commit is sent; what it raises rolls back."""

    def after_commit(self) -> None:
        """Called after the commit; what it raises, the process takes for a commit of unknown outcome."""


class OpenPassage:
    """Lets everything pass."""

    def before_statement(self, sql: str) -> None:
        """Nothing."""

    def before_commit(self) -> None:
        """Nothing."""

    def after_commit(self) -> None:
        """Nothing."""


def connect_through(passage: Passage, clock: Clock, url: str) -> Engine:
    """Returns a pool whose transactions live in simulated time."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=_N_CONNECTIONS,
        # The connection that was used last has most statements prepared already.
        pool_use_lifo=True,
        connect_args={"options": _OPTIONS, "application_name": "hqnas-simulation", "prepare_threshold": 1},
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Past SQLAlchemy, for there are more transactions than anything else.
        connection.connection.driver_connection.execute(_SET_CLOCK, (clock.timestamp,))  # type: ignore[union-attr]  # psycopg's

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _before(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        passage.before_statement(statement)
        return _IMPATIENT if statement.startswith("SET LOCAL lock_timeout") else statement, parameters

    @event.listens_for(engine, "commit")
    def _commit(connection: Connection) -> None:
        try:
            passage.before_commit()
        except BaseException:
            # A real connection would be closed now, and its locks with it; this one goes back to the pool.
            connection.connection.rollback()
            raise

    do_commit = engine.dialect.do_commit

    def commit(connection: Any) -> None:
        do_commit(connection)
        passage.after_commit()

    engine.dialect.do_commit = commit  # type: ignore[method-assign]  # the only place behind a commit
    return engine


def unreachable(why: str) -> OperationalError:
    """Returns the error that a process sees when its connection is cut."""
    return OperationalError(why, None, psycopg.OperationalError(why))


def empty(engine: Engine, *, thoroughly: bool) -> None:
    """Removes all rows but the default team; thoroughly gives their space back, which takes ten times longer."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        if thoroughly:
            connection.execute(text(f"TRUNCATE {', '.join(_EMPTIED)} RESTART IDENTITY CASCADE"))
        else:
            for table in _EMPTIED:
                connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("DELETE FROM teams WHERE id <> :id"), {"id": DEFAULT_TEAM_ID})
