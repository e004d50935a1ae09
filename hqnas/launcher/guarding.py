"""The launcher's side of the guard: starts it, reads its reports, waits for its end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from hqnas.launcher.errors import LauncherError, PostgresFailed
from hqnas.launcher.home import Home, Say, translated
from hqnas.launcher.lifeline import LAUNCH_VARIABLE, LIFELINE_VARIABLE, Lifeline


class GuardProcess:
    """The guard of a launch."""

    def __init__(self, home: Home, lifeline: Lifeline, launch_id: str, *, has_postgres: bool, say: Say) -> None:
        self._home = home
        self._lifeline = lifeline
        self._launch_id = launch_id
        self._has_postgres = has_postgres
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._reports = -1
        self._unread = b""
        self._is_up = False
        self.database_url: str | None = None

    def start(self, environment: Mapping[str, str], pause: Callable[[], None]) -> None:
        """Starts the guard and calls `pause`, which is to call `check`, until PostgreSQL is up.

        Raises:
            HomeUnusable: the log cannot be written.
            LauncherError: PostgreSQL does not start.
        """
        self._reports, write_fd = os.pipe()
        os.set_blocking(self._reports, False)
        fds = (self._lifeline.read_fd, self._home.lock_fd)
        command = [sys.executable, "-P", "-m", "hqnas.launcher.guard", *map(str, fds), self._launch_id]
        if self._has_postgres:
            command += [str(self._home.postgres), str(self._home.logs / "postgres.log")]
        # The guard ends whatever carries the launch's id, and must not carry one itself.
        marks = (LAUNCH_VARIABLE, LIFELINE_VARIABLE)
        log_path = self._home.logs / "guard.log"
        with translated(log_path), os.fdopen(write_fd, "wb") as reports, log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={name: value for name, value in environment.items() if name not in marks},
                stdin=subprocess.DEVNULL,
                stdout=reports,
                stderr=log,
                start_new_session=True,
                pass_fds=fds,
            )
        while not self._is_up:
            pause()

    def check(self) -> None:
        """Passes while the guard is well; takes note of what it reports, and passes its notices on.

        Raises:
            LauncherError: it gave up, or was killed.
        """
        try:
            new = os.read(self._reports, 1 << 16)
        except BlockingIOError:
            return
        if not new:
            raise LauncherError(f"the guard of PostgreSQL ended unexpectedly; see {self._home.logs / 'guard.log'}")
        *lines, self._unread = (self._unread + new).split(b"\n")
        for line in lines:
            report = json.loads(line)
            if "error" in report:
                raise PostgresFailed(report["error"])
            if "notice" in report:
                self._say(report["notice"])
                continue
            self.database_url = report["url"]
            self._is_up = True

    def wait(self) -> None:
        """Returns when the guard has ended, and PostgreSQL with it."""
        if self._process is not None:
            self._process.wait()
            os.close(self._reports)
