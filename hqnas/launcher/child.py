"""One process of the service as the launcher sees it: started with its log, watched, started again, stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hqnas.launcher.errors import ChildFailed
from hqnas.launcher.restarts import RestartPolicy
from hqnas.launcher.space import is_full

LONGEST_LOG: Final = 16 << 20
"""Bytes. A longer log is put aside (as `….log.1`) when its process starts the next time."""

N_LINES_SHOWN: Final = 15
WAIT_FOR_SPACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to run. Processes of one `role` are stopped together, roles in the reverse order of their start."""

    name: str
    role: str
    command: tuple[str, ...]


class Child:
    """A running process of the launch, in a session of its own."""

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        logs: Path,
        environment: Mapping[str, str],
        lifeline_fd: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self._environment = environment
        self._lifeline_fd = lifeline_fd
        self._clock = clock
        self._restarts = RestartPolicy(clock)
        self._start_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process.

        Raises:
            ChildFailed: the program cannot be run.
        """
        try:
            _put_aside(self.log)
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self.spec.command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in the terminal is for the launcher, which then stops its children in order.
                    start_new_session=True,
                    pass_fds=(self._lifeline_fd,),
                )
        except OSError as error:
            raise ChildFailed(f"{self.spec.name} cannot be started ({error.strerror}: {error.filename})") from error
        self._start_at = None
        self._restarts.started()

    @property
    def status(self) -> int | None:
        """The exit status, None while the process runs (or was not started)."""
        return self._process.poll() if self._process is not None else None

    def keep_up(self) -> str | None:
        """Starts the process again if it has died and its time has come; returns what there is to say about it.

        Raises:
            ChildFailed: it keeps dying.
        """
        status = self.status
        if status is None:
            return None
        if self._start_at is not None:
            if self._clock() >= self._start_at:
                self.start()
            return None
        delay_s = self._restarts.next_delay_s()
        if delay_s is None:
            if not is_full(self.log.parent):
                raise self.failure("keeps dying")
            delay_s = WAIT_FOR_SPACE_S  # it cannot do better before there is space again
        self._start_at = self._clock() + delay_s
        return f"{self.spec.name} {_in_words(status)}; it starts again in {delay_s:g} s (log: {self.log})."

    def failure(self, what: str) -> ChildFailed:
        """Returns the error that says what happened, with the last lines of the log."""
        how = f" ({_in_words(self.status)})" if self.status is not None else ""
        full = "no space is left on the disk; " if is_full(self.log.parent) else ""
        return ChildFailed(f"{self.spec.name} {what}{how}; {full}its log {self.log} ends:\n{self._last_lines()}")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill_session(self) -> None:
        """Kills the process and all others of its session."""
        if self.status is None and self._process is not None:
            # The process is the leader and not reaped yet, so its id is the group's and no stranger's.
            os.killpg(self._process.pid, signal.SIGKILL)

    def _last_lines(self) -> str:
        try:
            lines = self.log.read_bytes()[-8192:].decode("utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join(f"    {line}" for line in lines[-N_LINES_SHOWN:]) or "    (it is empty)"


def stop_roles(children: Sequence[Child]) -> list[list[Child]]:
    """Returns the children in the order they stop: those of one role together, the role started last first."""
    roles = list(dict.fromkeys(child.spec.role for child in children))
    return [[child for child in children if child.spec.role == role] for role in reversed(roles)]


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_name(log.name + ".1"))


def _in_words(status: int | None) -> str:
    if status is None:
        return "runs"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
