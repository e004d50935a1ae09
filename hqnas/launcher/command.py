"""The command behind `--`: runs in the foreground, in the launcher's process group, and gives the exit status."""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final

from hqnas.launcher.errors import CommandNotFound
from hqnas.launcher.signals import StopSignals

POLL_S: Final = 0.05
TERMINAL_WAIT_S: Final = 2.0
"""After Ctrl-C, which reaches the command by itself: how long before it is asked once more."""

STOP_WAIT_S: Final = 5.0


def check_command(command: Sequence[str]) -> None:
    """Passes if the command, if any, can be run.

    Raises:
        CommandNotFound: its program is not there.
    """
    if command and shutil.which(command[0]) is None:
        raise CommandNotFound(f"there is no program {command[0]!r} to run behind --")


class ForegroundCommand:
    """The running command. It gets no lifeline, as it need not know it; the guard asks it to end instead."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(list(command), env=dict(environment))
        except OSError as error:
            raise CommandNotFound(f"{command[0]} cannot be run: {error}") from error

    @property
    def status(self) -> int | None:
        """The exit status as a shell would give it, None while the command runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def stop(self, signals: StopSignals) -> None:
        """Ends the command if it runs: it is asked, and killed if it does not listen."""
        if signals.is_from_terminal and self._has_ended_after(TERMINAL_WAIT_S, signals):
            return
        if self.status is None:
            self._process.send_signal(signal.SIGTERM)
        if not self._has_ended_after(STOP_WAIT_S, signals):
            self._process.kill()
            self._process.wait()

    def _has_ended_after(self, wait_s: float, signals: StopSignals) -> bool:
        deadline = time.monotonic() + wait_s
        while self.status is None:
            if time.monotonic() > deadline or signals.is_urgent:
                return False
            time.sleep(POLL_S)
        return True
