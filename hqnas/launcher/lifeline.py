"""The lifeline: a pipe whose end of file tells every process of a launch that its launcher is gone.

Only the launcher holds the write end, so the kernel closes it however the launcher ends, also by SIGKILL. Every process
started by the launcher inherits the read end and calls `watch()` first of all. Nothing is ever written.

Standard library only and quick to import: every command of `hqnas` loads it.
"""

import os
import signal
import stat
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

LIFELINE_VARIABLE: Final = "HQNAS_LIFELINE_FD"
"""`<descriptor>:<inode>`. A program may inherit the variable without the descriptor; the inode tells them apart."""

LAUNCH_VARIABLE: Final = "HQNAS_LAUNCH"
"""The id of the launch, by which the guard finds every process that belongs to it."""

GRACE_S: Final = 5.0
"""How long a process may take to end by itself after its launcher is gone."""

_Ending: TypeAlias = Callable[[int, float], None]


class Lifeline:
    """The launcher's side: holds the write end, which no other process ever gets."""

    def __init__(self) -> None:
        # Both ends are created close-on-exec (PEP 446); a child gets the read end alone, through `pass_fds`.
        self.read_fd, self._write_fd = os.pipe()

    @property
    def variable(self) -> str:
        """The value of `LIFELINE_VARIABLE` for a process that inherits `read_fd`."""
        return f"{self.read_fd}:{os.fstat(self.read_fd).st_ino}"

    def close(self) -> None:
        """Lets go: every process that still watches begins to end."""
        for fd in (self._write_fd, self.read_fd):
            os.close(fd)


def watch(*, grace_s: float = GRACE_S) -> bool:
    """Makes this process, and every process forked from it, end when the launcher does.

    The process that called gets a SIGTERM, so that it may end in order; processes forked from it leave that to it and
    follow it. Whatever is still there after `grace_s` ends at once. Without a launcher nothing happens.

    Returns:
        Whether there is a lifeline to watch.
    """
    fd = _inherited_fd(os.environ.get(LIFELINE_VARIABLE, ""))
    if fd is None:
        return False
    os.set_inheritable(fd, False)
    _start(_end_in_order, fd, grace_s)
    # Threads do not survive a fork: a forked child (Celery's prefork pool) arms its own watcher.
    os.register_at_fork(after_in_child=lambda: _start(_follow_parent, fd, grace_s))
    return True


def _inherited_fd(variable: str) -> int | None:
    fd, _, inode = variable.partition(":")
    if not (fd.isdecimal() and inode.isdecimal()):
        return None
    try:
        status = os.fstat(int(fd))
    except OSError:
        return None
    is_ours = stat.S_ISFIFO(status.st_mode) and status.st_ino == int(inode)
    return int(fd) if is_ours else None


def _start(ending: _Ending, fd: int, grace_s: float) -> None:
    threading.Thread(target=_wait_and_end, args=(ending, fd, grace_s), name="lifeline", daemon=True).start()


def _wait_and_end(ending: _Ending, fd: int, grace_s: float) -> None:
    parent = os.getppid()
    try:
        while os.read(fd, 1):
            pass
    except OSError:
        # The process closed a descriptor that it does not own; it is no longer ours to watch.
        return
    ending(parent, grace_s)
    os._exit(1)


def _end_in_order(_parent: int, grace_s: float) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)


def _follow_parent(parent: int, grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.05)
