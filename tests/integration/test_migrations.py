"""The schema is what the tables say, and each migration can be undone."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, make_url, text

from models import connect
from models.migrate import SchemaAge, alembic_config, migrate, schema_age


@pytest.fixture
def empty_url(engine: Engine, database_url: str) -> Iterator[str]:
    """A second, empty database on the test server."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE migrations_test"))
        yield make_url(database_url).set(database="migrations_test").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE migrations_test WITH (FORCE)"))


def test_up_check_down_and_up_again(empty_url: str) -> None:
    config = alembic_config(empty_url)
    migrate(empty_url)
    command.check(config)
    command.downgrade(config, "base")
    engine = connect(empty_url, application="test")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert schema_age(engine) == SchemaAge.ABSENT
    migrate(empty_url)
    assert schema_age(engine) == SchemaAge.CURRENT
    engine.dispose()


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    migrate(empty_url)


def test_there_is_one_newest_migration() -> None:
    assert len(ScriptDirectory.from_config(alembic_config("")).get_heads()) == 1
