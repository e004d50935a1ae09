"""Private servers that tests share: one PostgreSQL for a run, emptied before each test that asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from calibrations import write_calibration
from sqlalchemy import Engine, text

from config.settings import Settings
from hqnas.launcher.postgres import EmbeddedPostgres
from models import UnitOfWork, connect
from models.migrate import migrate
from models.tables import DEFAULT_TEAM_ID


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("HQNAS_")]:
        del os.environ[name]
    # The machine decides how long a test takes, not whether it passes; and every run tries the same examples.
    hypothesis.settings.register_profile("hqnas", deadline=None, derandomize=True)
    hypothesis.settings.load_profile("hqnas")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos", action="store_true", help="also run what kills processes for minutes; hold limits")
    parser.addoption("--repeats", type=int, default=1, help="recoveries measured in each scenario of tests/faults")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--chaos"):
        return
    for item in items:
        if item.get_closest_marker("chaos"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make chaos"))


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database of this run's own, on a socket."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), is_durable=False) as server:
        migrate(server.url)
        yield server.url


@pytest.fixture(scope="session")
def _shared_engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url, application="tests")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(_shared_engine: Engine) -> Engine:
    """The database with nothing in it but the default team."""
    with _shared_engine.begin() as connection:
        connection.execute(text("TRUNCATE candidates, evaluations, searches, workers, controllers CASCADE"))
        connection.execute(text("DELETE FROM teams WHERE id <> :id"), {"id": DEFAULT_TEAM_ID})
    return _shared_engine


@pytest.fixture
def work(engine: Engine) -> UnitOfWork:
    """A unit of work over the empty database."""
    return UnitOfWork(engine)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings for the test database and a broker in a folder of the test's own."""
    return Settings(
        database_url=database_url, home=tmp_path, broker_url=f"filesystem://{tmp_path}/broker", cache=tmp_path / "cache"
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a made-up calibration of this machine, so that workers of the tests choose alike and at once."""
    folder = tmp_path_factory.mktemp("cache")
    write_calibration(folder, bundles={2: 4})
    return folder
