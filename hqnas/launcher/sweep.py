"""Ending everything that belongs to a launch: all processes that carry its id in their environment.

The environment is set once, when a program starts, and is inherited by all that it starts or forks, at any depth and in
any session. Unlike a process id it cannot be taken over by a stranger.
"""

import contextlib
import os
import time
from typing import Final

import psutil

from hqnas.launcher.lifeline import GRACE_S, LAUNCH_VARIABLE, LIFELINE_VARIABLE

POLL_S: Final = 0.1
KILL_WAIT_S: Final = 20.0
"""A killed process may be held by the kernel (a disk, a GPU driver) for a while; it is not waited for longer."""


def find_members(launch: str) -> list[psutil.Process]:
    """Returns the living processes of the launch, without the calling one."""
    members = []
    for process in psutil.process_iter():
        # Gone meanwhile, a zombie, or another user's: not ours to end.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(LAUNCH_VARIABLE) == launch and process.pid != os.getpid():
                members.append(process)
    return members


def end_members(launch: str, *, grace_s: float = GRACE_S + 1.0) -> None:
    """Ends the processes of a launch whose launcher is gone, and returns when there are none.

    Those with a lifeline end by themselves; the others (the command, and what it started) are asked to. What is left
    after `grace_s` is killed.
    """
    _ask_those_without_lifeline(launch)
    if not _wait_until_none(launch, timeout_s=grace_s):
        kill_members(launch)


def kill_members(launch: str) -> None:
    """Kills the processes of a launch, and those that they start meanwhile, until there are none."""
    deadline = time.monotonic() + KILL_WAIT_S
    while time.monotonic() < deadline:
        members = find_members(launch)
        if not members:
            return
        for process in members:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(POLL_S)


def _ask_those_without_lifeline(launch: str) -> None:
    for process in find_members(launch):
        with contextlib.suppress(psutil.Error, OSError):
            if LIFELINE_VARIABLE not in process.environ():
                process.terminate()


def _wait_until_none(launch: str, *, timeout_s: float) -> bool:
    """Returns whether no process is left; believes it when it sees it twice.

    A launcher killed between fork and exec leaves a process that carries the id only a moment later.
    """
    deadline = time.monotonic() + timeout_s
    n_empty = 0
    while time.monotonic() < deadline:
        n_empty = 0 if find_members(launch) else n_empty + 1
        if n_empty == 2:
            return True
        time.sleep(POLL_S)
    return False
