"""Brings a database to the newest schema, and tells whether it is there."""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, make_url


def migrate(url: str) -> None:
    """Applies the migrations that the database lacks; several processes may try at once, one does it."""
    command.upgrade(alembic_config(url), "head")


class SchemaAge(StrEnum):
    """How the schema of a database stands to this version of hqnas."""

    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    ABSENT = "absent"


def schema_age(engine: Engine) -> SchemaAge:
    """Returns whether this version can read a database, and if not, what is the matter with it."""
    script = ScriptDirectory.from_config(alembic_config(""))
    with engine.connect() as connection:
        here = set(MigrationContext.configure(connection).get_current_heads())
    if not here:
        return SchemaAge.ABSENT
    if here == set(script.get_heads()):
        return SchemaAge.CURRENT
    known = {revision.revision for revision in script.walk_revisions()}
    return SchemaAge.OLDER if here <= known else SchemaAge.NEWER


def alembic_config(url: str) -> Config:
    """Returns Alembic's configuration for the migrations of this installation."""
    spec = find_spec("migrations")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    config = Config()
    config.set_main_option("script_location", str(Path(spec.submodule_search_locations[0])).replace("%", "%%"))
    config.attributes["url"] = make_url(url).set(drivername="postgresql+psycopg") if url else None
    return config
