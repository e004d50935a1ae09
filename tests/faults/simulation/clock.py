"""A database whose `now()` is moved by the simulation."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, create_engine, make_url, text

from models import connect
from models.base import Base
from models.migrate import migrate

_EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)

#: An unqualified `now()` is looked up along the search path, in which even pg_catalog may come second.
SEARCH_PATH: Final = "simulated,public,pg_catalog"

_NOW = """
CREATE SCHEMA simulated;
CREATE FUNCTION simulated.now() RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT current_setting('simulated.now')::timestamptz $$;
"""


class Clock:
    """Seconds since the schedule began."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @property
    def timestamp(self) -> str:
        """The instant as PostgreSQL reads it."""
        return (_EPOCH + timedelta(seconds=self.seconds)).isoformat()

    def seconds_at(self, instant: datetime) -> float:
        """Returns an instant of the database in seconds."""
        return (instant - _EPOCH).total_seconds()

    def advance(self, seconds: float) -> None:
        """Moves on; transactions under way keep the time at which they began, as in production."""
        self.seconds += seconds


def make_database(server_url: str, name: str) -> str:
    """Returns the URL of a new, migrated database of a running server, with the simulated clock in it."""
    server = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
        # It would lock what the simulation empties, and change plans by chance.
        connection.execute(text("ALTER SYSTEM SET autovacuum = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    server.dispose()
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    engine = connect(url, application="simulation")
    _install(engine)
    engine.dispose()
    return url


def _install(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(_NOW))
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                if column.server_default is not None and "now" in str(getattr(column.server_default, "arg", "")):
                    statement = f"ALTER TABLE {table.name} ALTER COLUMN {column.name} SET DEFAULT simulated.now()"
                    connection.execute(text(statement))
