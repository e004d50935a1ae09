"""Connections to a PostgreSQL that is silent, cut off, slow or full, through a proxy."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from processes import PATIENCE_S
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tcp_proxy import TcpProxy

from models import Bell, UnitOfWork, connect, is_transient
from models.database import reason_of

pytestmark = pytest.mark.integration


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    """A proxy before the test database."""
    query = parse_qs(urlsplit(database_url).query)
    with TcpProxy(Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}") as proxy:
        yield proxy


@pytest.fixture
def proxied_url(proxy: TcpProxy, database_url: str) -> str:
    return f"postgresql://{urlsplit(database_url).username or 'postgres'}@127.0.0.1:{proxy.port}/postgres"


@pytest.fixture
def far(proxied_url: str) -> Iterator[Engine]:
    """The test database through the proxy, for callers of little patience."""
    engine = connect(proxied_url, application="far", pool_size=1, answer_s=0.5)
    yield engine
    engine.dispose()


def answers(engine: Engine) -> bool:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT 1")) == 1


@contextlib.contextmanager
def failing(reason: str) -> Iterator[None]:
    """Expects a transient failure for this reason."""
    with pytest.raises((DBAPIError, PoolTimeoutError, psycopg.OperationalError)) as caught:
        yield
    assert reason_of(caught.value) == reason


def test_a_statement_that_is_never_answered_fails_and_the_next_gets_a_new_connection(
    far: Engine, proxy: TcpProxy
) -> None:
    with failing("the database does not answer"), far.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        proxy.forget()
        connection.scalar(text("SELECT 2"))
    assert answers(far)


def test_a_commit_that_is_never_answered_fails(far: Engine, proxy: TcpProxy) -> None:
    with failing("the database does not answer"), far.connect() as connection:
        connection.scalar(text("SELECT 1"))
        proxy.forget()
        connection.commit()
    assert answers(far)


def test_a_connection_that_died_silently_in_the_pool_is_replaced(far: Engine, proxy: TcpProxy) -> None:
    assert answers(far)
    proxy.forget()
    assert answers(far)


def test_a_slow_statement_is_cancelled_by_the_server_and_its_connection_lives(far: Engine) -> None:
    with far.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with failing("the database did not finish the statement in time"):
            connection.execute(text("SELECT pg_sleep(60)"))
        connection.rollback()
        assert connection.scalar(text("SELECT pg_backend_pid()")) == pid


def test_the_server_ends_a_transaction_whose_client_fell_silent(far: Engine, engine: Engine) -> None:
    with far.connect() as connection, engine.connect() as other:
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"
        soon = "set_config('idle_in_transaction_session_timeout', '1ms', true)"
        connection.execute(text(f"SELECT pg_advisory_xact_lock(7), {soon}"))
        other.execute(text("SELECT pg_advisory_xact_lock(7)"))
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
    assert is_transient(caught.value)
    assert answers(far)


def test_the_kernel_looks_after_a_machine_that_vanished(far: Engine) -> None:
    with far.connect() as connection:
        options = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
    assert (
        int(options["keepalives_idle"]) + int(options["keepalives_interval"]) * int(options["keepalives_count"]) <= 30
    )
    assert 0 < int(options["tcp_user_timeout"]) <= 30_000


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_around_a_commit_is_transient_either_way(
    far: Engine, proxy: TcpProxy, engine: Engine, when: str
) -> None:
    cut = proxy.cut(when, b"COMMIT")  # type: ignore[arg-type]  # one of the two
    with failing("the database does not answer"), far.begin() as connection:
        connection.execute(text("INSERT INTO teams (id, name) VALUES (gen_random_uuid(), 'cut')"))
    assert cut.done.wait(PATIENCE_S)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM teams WHERE name = 'cut'")) == (when == "after")


def test_a_refused_connection_is_transient(far: Engine, proxy: TcpProxy) -> None:
    assert answers(far)
    proxy.refuse()
    with failing("the database does not answer"):
        answers(far)
    proxy.restore()
    assert answers(far)


def test_a_pool_with_nothing_left_is_transient(proxied_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.database._POOL_TIMEOUT_S", 0.1)
    engine = connect(proxied_url, application="full", pool_size=1)
    with contextlib.ExitStack() as held, failing("all connections to the database are in use"):
        for _ in range(3):
            held.enter_context(engine.connect())
    engine.dispose()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("53100", "the disk of the database is full"),
        ("53200", "the database is out of memory"),
        ("53300", "the database has no connection left"),
        ("57P01", "the database is stopping, starting, or cancelled the statement"),
        ("57P02", "the database is stopping, starting, or cancelled the statement"),
        ("57P03", "the database is stopping, starting, or cancelled the statement"),
        ("25006", "the database is read-only"),
        ("55P03", "another transaction holds what this one needs"),
        ("40001", "other transactions were in the way"),
        ("40P01", "other transactions were in the way"),
        ("58030", "the database met an error of its system"),
        ("08006", "the connection to the database was lost"),
    ],
)
def test_what_the_server_may_do_later_is_transient(far: Engine, code: str, reason: str) -> None:
    with failing(reason), far.connect() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{code}'; END $$"))


@pytest.mark.parametrize("code", ["22012", "23505", "42P01", "42703", "54000", "XX001", "P0001"])
def test_what_the_server_will_never_do_is_not_transient(far: Engine, code: str) -> None:
    with pytest.raises(DBAPIError) as caught, far.connect() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{code}'; END $$"))
    assert not is_transient(caught.value)


def test_errors_of_our_own_are_not_transient() -> None:
    assert not is_transient(ZeroDivisionError())
    assert not is_transient(IntegrityError("", {}, ValueError()))


def test_a_bell_comes_back_after_its_connection_was_lost(proxied_url: str, proxy: TcpProxy, engine: Engine) -> None:
    bell = Bell(proxied_url, application="test")
    assert not bell.wait(0.01)
    proxy.reset()
    with pytest.raises(psycopg.OperationalError):
        bell.wait(60)
    rung = threading.Timer(0.0, lambda: _ring(engine))
    assert not bell.wait(0.01)
    rung.start()
    assert bell.wait(60)
    rung.join()
    bell.close()


def _ring(engine: Engine) -> None:
    with UnitOfWork(engine) as work:
        work.ring()
        work.commit()
