"""How Alembic reaches the database: by the URL it is handed, or by HQNAS_DATABASE_URL."""

from alembic import context
from sqlalchemy import NullPool, create_engine, make_url, text

from config.settings import Settings
from models.base import Base
from models.tables import Search  # noqa: F401  # importing the tables fills the metadata

_LOCK = 4_711_002  # any number, the same in every process that migrates


def run() -> None:
    """Runs the migrations in one transaction, one process at a time."""
    url = context.config.attributes.get("url") or make_url(Settings.load().require_database_url()).set(
        drivername="postgresql+psycopg"
    )
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            context.run_migrations()


run()
