"""Launches for the tests of the launcher: a real launcher over the pretend service of launcher_driver.py."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
from processes import PATIENCE_S, wait_until

from hqnas.launcher import exec_as
from hqnas.launcher.postgres import EmbeddedPostgres

DRIVER = Path(__file__).with_name("integration") / "launcher_driver.py"


def command_line(process: psutil.Process) -> str:
    """The command line; empty for a process that has ended meanwhile."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


class Launch:
    """A launcher under test, in a session of its own, with all the processes that it has started."""

    def __init__(self, home: Path, *arguments: str, outputs: Path, port: int = 0) -> None:
        self.home = home
        command = [sys.executable, str(DRIVER), "launch", str(home), str(port), *arguments]
        # A launch is in a session of its own; so that it does not outlive a run of the tests that is killed.
        ending_with_us = ["-I", "-S", exec_as.__file__, "-1", "-1", str(os.getpid()), str(int(signal.SIGTERM)), "/"]
        self.output_path = outputs / f"{home.name}-{time.monotonic_ns()}.out"
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *ending_with_us, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.family: list[psutil.Process] = []
        self.log_start = 0  #: of PostgreSQL in this launch

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait_until_up(self) -> "Launch":
        wait_until(lambda: "hqnas is up" in self.output or self.process.poll() is not None, "the launch")
        assert self.process.poll() is None, self.output
        self.note_family()
        return self

    def note_family(self) -> None:
        """Looks at what the launch consists of now."""
        self.family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def named(self, part: str) -> psutil.Process:
        """The first process with the part in its command line: the guard comes before its PostgreSQL."""
        return next(process for process in self.family if part in command_line(process))

    def has(self, part: str, *, besides: psutil.Process | None = None) -> bool:
        """Whether some process has the part in its command line; the launcher's own has the command's in it."""
        rest = (process for process in self.family if process not in (besides, self.family[0]))
        return any(part in command_line(process) for process in rest)

    def shows(self, part: str, *, besides: psutil.Process | None = None) -> bool:
        """Like `has`, with a new look at what runs."""
        self.note_family()
        return self.has(part, besides=besides)

    def wait(self) -> int:
        return self.process.wait(timeout=PATIENCE_S)

    def survivors(self) -> list[psutil.Process]:
        """What is left once there was time to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=PATIENCE_S)
        _, alive = psutil.wait_procs(self.family, timeout=PATIENCE_S)
        return alive


Start = Callable[..., Launch]


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Yields what starts a launch, by default on one home in the folder; ends all of them."""
    launches: list[Launch] = []

    def start(*arguments: str, home: Path | None = None, port: int = 0) -> Launch:
        launches.append(Launch(home or folder / "a home", *arguments, outputs=folder, port=port))
        return launches[-1]

    try:
        yield start
    finally:
        for launch in launches:
            launch.process.kill()
            launch.survivors()


def rows(home: Path, query: str) -> list[str]:
    """Asks the data of a home that nobody runs on."""
    with EmbeddedPostgres(home / "postgres") as server, psycopg.connect(server.url) as connection:
        return [str(row[0]) for row in connection.execute(query.encode()).fetchall()]
