"""Connections to PostgreSQL, and waiting for a notification."""

import contextlib
from collections.abc import Iterator

import psycopg
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

#: Rung in the transaction that makes work for a controller: a search submitted, a result recorded.
CHANNEL = "hqnas_work"

_CONNECT_TIMEOUT_S = 5
_POOL_TIMEOUT_S = 5


def connect(url: str, *, application: str, pool_size: int = 5) -> Engine:
    """Returns a pool of connections; connections that died while idle are replaced, not handed out.

    Args:
        url: `postgresql://…`.
        application: the process's name, shown in pg_stat_activity.
        pool_size: connections kept open; as many again may be opened under load.
    """
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_TIMEOUT_S,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": f"hqnas-{application}"},
    )


def is_transient(failure: BaseException) -> bool:
    """Whether the same transaction may succeed when the database answers again.

    A connection that is cut inside a statement can surface as another kind of error than OperationalError.
    """
    return isinstance(failure, OperationalError | PoolTimeoutError | psycopg.OperationalError) or (
        isinstance(failure, DBAPIError) and failure.connection_invalidated
    )


class Bell:
    """Waits until some transaction rang the channel. It holds one connection of its own and opens it anew when lost."""

    def __init__(self, url: str, *, application: str) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._application = application
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def wait(self, timeout_s: float) -> bool:
        """Returns True as soon as the channel rings, or False after the time; all rings so far count as one.

        Raises:
            psycopg.OperationalError: the database cannot be reached.
        """
        try:
            return any(True for _ in self._listening().notifies(timeout=timeout_s, stop_after=1))
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection; `wait` opens a new one."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _listening(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name=f"hqnas-{self._application}-bell",
            )
            self._connection.execute(f"LISTEN {CHANNEL}")
        return self._connection


@contextlib.contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    """Closes the pool at the end of the block."""
    try:
        yield engine
    finally:
        engine.dispose()
