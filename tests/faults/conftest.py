"""A private cluster that scenarios share, for its processes start slowly, and how long each recovery took."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from calibrations import write_calibration
from cluster import Cluster
from faults.scenarios import RECOVERIES, limit_of
from faults.scene import N_FREE
from processes import redis_server

from hqnas.launcher.postgres import EmbeddedPostgres
from models import connect, disposing
from models.migrate import migrate

_KEY = pytest.StashKey[dict[str, list[float]]]()


class Recovery:
    """Collects how long a scenario took to recover, each time. With --chaos it holds the scenario to its limit."""

    def __init__(self, test: str, samples: list[float], *, is_held: bool) -> None:
        self._samples = samples
        self._limit = limit_of(test) if is_held else math.inf

    def record(self, value: float) -> None:
        """Notes one recovery, in seconds, or a ratio where the limit is one."""
        self._samples.append(value)
        assert value <= self._limit, f"recovered after {value:.1f}, and the limit is {self._limit}"


@pytest.fixture
def recovery(request: pytest.FixtureRequest) -> Recovery:
    """What the test notes its recoveries in; cases of one test go together."""
    test = request.node.nodeid.partition("[")[0]
    samples = request.config.stash.setdefault(_KEY, {}).setdefault(test, [])
    return Recovery(test, samples, is_held=request.config.getoption("--chaos"))


@pytest.fixture(scope="session")
def repeats(request: pytest.FixtureRequest) -> int:
    """How many recoveries a scenario should measure."""
    n: int = request.config.getoption("--repeats")
    return n


def pytest_sessionfinish(session: pytest.Session) -> None:
    measured = session.config.stash.get(_KEY, {})
    if session.config.getoption("--chaos") and measured:
        path = session.config.rootpath / RECOVERIES
        earlier = json.loads(path.read_text()) if path.exists() else {}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**earlier, **measured}, indent=1))


@contextlib.contextmanager
def private_cluster(folder: Path, **settings: str) -> Iterator[Cluster]:
    """Runs an API over a PostgreSQL and a Redis of its own, with the settings of production but for those named.

    Every doorbell names one evaluation: what is done to one process happens to one evaluation.
    """
    write_calibration(folder / "cache")
    with (
        EmbeddedPostgres(folder / "postgres", is_durable=False) as server,
        redis_server(folder) as broker_url,
        disposing(connect(server.url, application="tests")) as engine,
    ):
        migrate(server.url)
        environment = {
            "HQNAS_DATABASE_URL": server.url,
            "HQNAS_BROKER_URL": broker_url,
            "HQNAS_HOME": str(folder),
            "HQNAS_CACHE": str(folder / "cache"),
        }
        with Cluster(folder, {**environment, **settings}, engine) as cluster:
            yield cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with private_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ring(cluster: Cluster) -> Cluster:
    """The cluster with two controllers, and a worker `w` of two slots."""
    for member in (cluster.controller("c0"), cluster.controller("c1"), cluster.worker("w", slots=N_FREE)):
        member.wait_until_up()
    return cluster
