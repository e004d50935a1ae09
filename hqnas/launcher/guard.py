"""The guard: runs PostgreSQL for a launcher, and cleans up after it however it ended.

    python -m hqnas.launcher.guard LIFELINE_FD LOCK_FD LAUNCH [POSTGRES_DIRECTORY LOG]

It runs in a session of its own, where neither Ctrl-C nor a kill of the launcher's process group reaches it. Reports go
to standard output, one JSON object a line: `{"url": …}` once PostgreSQL takes connections, `{"notice": …}` for the
person at the terminal, `{"error": …}` when the guard gives up. A full disk is no reason to give up once PostgreSQL has
run. At the end of the lifeline it first ends all processes of the launch, then PostgreSQL, then itself; with
it the lock on the home falls. It carries no id of the launch itself.
"""

import argparse
import contextlib
import json
import select
import signal
import sys
from pathlib import Path
from typing import Final

from hqnas.launcher.errors import DiskFull, LauncherError, PostgresFailed
from hqnas.launcher.postgres import EmbeddedPostgres
from hqnas.launcher.restarts import RestartPolicy
from hqnas.launcher.space import is_full
from hqnas.launcher.sweep import end_members

POLL_S: Final = 0.1
SPACE_POLL_S: Final = 2.0


class Guard:
    """Keeps PostgreSQL up while the lifeline holds."""

    def __init__(self, lifeline_fd: int, server: EmbeddedPostgres | None) -> None:
        self._lifeline_fd = lifeline_fd
        self._server = server
        self._restarts = RestartPolicy()
        self.is_asked_to_stop = False

    def ask_to_stop(self, *_: object) -> None:
        """Ends the watch; a signal handler."""
        self.is_asked_to_stop = True

    def watch(self) -> None:
        """Returns when the launcher is gone, or a signal asked to stop.

        Raises:
            LauncherError: PostgreSQL does not start, or keeps dying.
        """
        if self._server is not None:
            self._bring_up(self._server)
        _report(url=self._server.url if self._server is not None else None)
        while not self._is_over(POLL_S):
            if self._server is not None and not self._server.is_running():
                self._restart(self._server)

    def _bring_up(self, server: EmbeddedPostgres) -> None:
        server.launch()
        while not self._is_over(0.02) and not server.is_ready():
            pass
        self._restarts.started()

    def _restart(self, server: EmbeddedPostgres) -> None:
        delay_s = self._restarts.next_delay_s()
        if delay_s is None:
            if not is_full(server.directory):
                raise PostgresFailed(f"PostgreSQL keeps dying; its log is {server.log}")
            delay_s = SPACE_POLL_S
        _report(notice=f"PostgreSQL ended; it starts again in {delay_s:g} s (log: {server.log}).")
        if self._is_over(delay_s):
            return
        try:
            try:
                self._bring_up(server)
            except DiskFull as full:
                self._wait_for_space(server, full)
        except PostgresFailed as failure:
            # It died again while it recovered, perhaps of a full disk that has space by now: one more death of those
            # that are allowed.
            self._restarts.started()
            _report(notice=f"{failure}.")

    def _wait_for_space(self, server: EmbeddedPostgres, full: DiskFull) -> None:
        # Space comes back sooner or later, and everybody else waits for the database in any case.
        _report(notice=f"{full}. It goes on as soon as there is space.")
        while not self._is_over(SPACE_POLL_S):
            with contextlib.suppress(DiskFull):
                self._bring_up(server)
                _report(notice="PostgreSQL is up again.")
                return

    def _is_over(self, wait_s: float) -> bool:
        # Nothing is ever written to the lifeline: it turns readable when it ends.
        readable, _, _ = select.select([self._lifeline_fd], [], [], wait_s)
        return bool(readable) or self.is_asked_to_stop


def _report(**facts: str | None) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Guards a launch until its end and returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lifeline_fd", type=int)
    parser.add_argument("lock_fd", type=int)
    parser.add_argument("launch")
    parser.add_argument("postgres", nargs="*", type=Path)
    arguments = parser.parse_args()
    server = EmbeddedPostgres(arguments.postgres[0], log=arguments.postgres[1]) if arguments.postgres else None
    guard = Guard(arguments.lifeline_fd, server)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, guard.ask_to_stop)
    status = 0
    try:
        guard.watch()
        if guard.is_asked_to_stop:
            _report(error="the guard of this launch was ended by a signal")
    except LauncherError as error:
        _report(error=str(error))
        status = 1
    finally:
        # The launcher, if it lives, hears of it and stops its children itself; it needs PostgreSQL no more.
        end_members(arguments.launch)
        if server is not None:
            server.stop("fast")
    return status


if __name__ == "__main__":
    sys.exit(main())
