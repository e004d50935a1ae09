"""Connections to PostgreSQL that do not wait for ever, and waiting for a notification.

A database can be away in four ways, and each has something that ends the waiting:

refused, cut   the connection itself says so
vanished       the kernel, by keepalives while idle and by a limit on unacknowledged data while sending
silent         a server that was frozen, or a proxy that lost it, takes what is sent: `_Connection.wait`
slow           the server cancels a statement that takes too long

The other way round, the server ends a transaction whose client has fallen silent, so that its locks are free again.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

#: Rung in the transaction that makes work for a controller: a search submitted, a result recorded.
CHANNEL = "hqnas_work"

#: How long one statement may take, by default.
ANSWER_S: Final = 10.0

#: How long a transaction may stand between two statements: the longest computation in one is a step of a search, some
#: ten seconds. Until then, the locks of a client that has vanished hold up others.
_IDLE_S: Final = 30.0

#: The same for a step that was found to need more: hypervolumes of many objectives, tests of hundreds of members.
PATIENT_S: Final = 600.0

_CONNECT_TIMEOUT_S = 5
_POOL_TIMEOUT_S = 5
#: A server that cancels a slow statement keeps the connection, so it is given this much longer to say so.
_GRACE_S = 1.0

_KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

_TRANSIENT_CLASSES: Final = {
    "08": "the connection to the database was lost",
    "28": "the database does not let us in",
    "3D": "the database is not there",
    "40": "other transactions were in the way",
    "53": "the database is short of a resource",
    "57": "the database is stopping, starting, or cancelled the statement",
    "58": "the database met an error of its system",
}
_TRANSIENT_CODES: Final = {
    "25006": "the database is read-only",
    "25P03": "the database ended a transaction that stood still",
    "25P04": "the database ended a transaction that took too long",
    "53100": "the disk of the database is full",
    "53200": "the database is out of memory",
    "53300": "the database has no connection left",
    "55P03": "another transaction holds what this one needs",
    "57014": "the database did not finish the statement in time",
}


def connect(url: str, *, application: str, pool_size: int = 5, answer_s: float = ANSWER_S) -> Engine:
    """Returns a pool of connections; connections that died while idle are replaced, not handed out.

    Args:
        url: `postgresql://…`.
        application: the process's name, shown in pg_stat_activity.
        pool_size: connections kept open; as many again may be opened under load.
        answer_s: how long one statement may take; what is not answered by then counts as an outage.
    """
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_TIMEOUT_S,
        connect_args=_options(application),
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: Any, options: dict[str, Any]) -> "_Connection":
        return _open(*arguments, answer_s=answer_s, **options)

    return engine


def is_transient(failure: BaseException) -> bool:
    """Whether the same transaction may succeed when the database answers again."""
    return reason_of(failure) is not None


def is_of_the_statement(failure: BaseException) -> bool:
    """Whether the database gave up on this transaction alone, and serves others."""
    code = _code_of(failure)
    return code is not None and (code in ("25P03", "25P04", "57014") or code.startswith("40"))


def reason_of(failure: BaseException) -> str | None:
    """Returns why the database could not do now what it may do later, or None if it never will.

    A connection that is cut inside a statement can surface as another kind of error than OperationalError.
    """
    if isinstance(failure, PoolTimeoutError):
        return "all connections to the database are in use"
    code = _code_of(failure)
    if code is not None:
        known = _TRANSIENT_CODES.get(code, _TRANSIENT_CLASSES.get(code[:2]))
        if known is not None:
            return known
    is_cut = isinstance(failure, DBAPIError) and failure.connection_invalidated
    # Without a code, the error is the driver's own: no server was there to give one.
    is_away = code is None and isinstance(failure, OperationalError | psycopg.OperationalError)
    return "the database does not answer" if is_cut or is_away else None


def _code_of(failure: BaseException) -> str | None:
    return getattr(failure.orig if isinstance(failure, DBAPIError) else failure, "sqlstate", None)


class Bell:
    """Waits until some transaction rang the channel. It holds one connection of its own and opens it anew when lost."""

    def __init__(self, url: str, *, application: str) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._application = application
        self._connection: _Connection | None = None

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

    def _listening(self) -> "_Connection":
        if self._connection is None:
            connection = _open(self._url, answer_s=ANSWER_S, autocommit=True, **_options(f"{self._application}-bell"))
            connection.execute(f"LISTEN {CHANNEL}")
            self._connection = connection
        return self._connection


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed when no answer comes in time: libpq would wait for ever."""

    answer_s = ANSWER_S

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Returns what the generator ends with, as the driver's own; nothing waits without a limit."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_s + _GRACE_S)
        except psycopg.OperationalError as failure:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # The answer may still come, and nothing could tell it from the next one's.
            self.close()
            raise psycopg.OperationalError(f"no answer within {self.answer_s:g} s") from failure


def _open(*arguments: Any, answer_s: float, autocommit: bool = False, **options: Any) -> _Connection:
    connection = _Connection.connect(*arguments, autocommit=True, **options)
    try:
        connection.answer_s = answer_s
        settings = {
            "statement_timeout": f"{answer_s:g}s",
            "idle_in_transaction_session_timeout": f"{_IDLE_S:g}s",
            # What the server does about a client that vanished; on a socket of the machine they have no effect.
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }
        # Not by the option `-c` of the start-up message, which poolers of connections refuse.
        names, values = list(settings), list(settings.values())
        connection.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
            [names, values],
        )
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _options(application: str) -> dict[str, Any]:
    return {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": f"hqnas-{application}", **_KEEPALIVE}


@contextlib.contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    """Closes the pool at the end of the block."""
    try:
        yield engine
    finally:
        engine.dispose()
