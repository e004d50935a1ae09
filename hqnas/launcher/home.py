"""The home: the folder that one installation keeps everything in, and the lock that lets one launcher at it.

    <home>/launcher.lock    held by launcher and guard; says which launcher. Its presence marks the folder as a home
    <home>/postgres         data of the embedded PostgreSQL
    <home>/broker           the local message broker
    <home>/logs             a log for each process
    <home>/discarded        what `clear` has taken out and not yet removed

The lock is a `flock` on an open file shared by launcher and guard: the kernel frees it when both are gone, never
sooner, and no kill can leave it behind.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from hqnas.launcher.errors import HomeBusy, HomeUnusable

LOCK_NAME: Final = "launcher.lock"
_DISCARDED: Final = "discarded"
KNOWN_NAMES: Final = frozenset({LOCK_NAME, "postgres", "broker", "logs", _DISCARDED})
_RECORD_BYTES: Final = 256
CLEAN_UP_WAIT_S: Final = 120.0
"""A guard needs a few seconds; it stops PostgreSQL more and more roughly, 90 s at the worst."""

Say = Callable[[str], None]
"""Tells the person at the terminal."""


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """Which launcher holds, or last held, a home. The start tells a process from a later one of the same id.

    It is `boot:ticks` on Linux, and elsewhere, as in records of earlier versions, in seconds of the system's clock.
    """

    pid: int
    started_at: str | float
    launch: str

    @classmethod
    def of_this_process(cls, launch: str) -> Self:
        """Returns the record of the calling process."""
        return cls(os.getpid(), _start_of(psutil.Process()), launch)

    def is_alive(self) -> bool:
        """Whether that launcher still runs. One that ended and whose parent has not noticed does not."""
        try:
            process = psutil.Process(self.pid)
            started_at = _start_of(process) if isinstance(self.started_at, str) else process.create_time()
            return started_at == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def _start_of(process: psutil.Process) -> str | float:
    # On Linux, psutil makes a time of day of the ticks since the boot, which moves whenever the clock is set.
    try:
        status = Path(f"/proc/{process.pid}/stat").read_text(errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return process.create_time()
    # `starttime`, the 22nd: the second is the name in parentheses, which may hold spaces and parentheses itself.
    return f"{boot}:{status.rpartition(')')[2].split()[19]}"


class Home:
    """A home whose lock is ours until `close`."""

    def __init__(self, path: Path, lock_fd: int, previous: LaunchRecord | None) -> None:
        """Use `take`."""
        self.path = path
        self.lock_fd = lock_fd
        self.previous = previous

    @property
    def postgres(self) -> Path:
        """The folder of the embedded PostgreSQL."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.path / "logs"

    @classmethod
    def take(cls, path: Path, *, say: Say, is_stopped: Callable[[], bool] = lambda: False) -> Self:
        """Returns the home with its lock held; waits for the clean-up after a launcher that was killed.

        Args:
            path: the folder, made if missing.
            say: told when there is something to wait for.
            is_stopped: whether to give up waiting.

        Raises:
            HomeUnusable: the folder cannot be made or written, or holds something that is not ours.
            HomeBusy: another launcher has it.
        """
        path = path.expanduser().absolute()
        with translated(path):
            _make_folder(path)
            lock_fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(path, lock_fd, say=say, is_stopped=is_stopped)
            previous = _read_record(lock_fd)
            with translated(path):
                shutil.rmtree(path / _DISCARDED, ignore_errors=True)
                (path / "logs").mkdir(exist_ok=True)
        except BaseException:
            os.close(lock_fd)
            raise
        return cls(path, lock_fd, previous)

    def sign(self, launch: str) -> None:
        """Says that this process has the home, for the launch of this id; of an earlier one nobody knows then.

        Raises:
            HomeUnusable: the lock cannot be written.
        """
        record = json.dumps(asdict(LaunchRecord.of_this_process(launch))).encode()
        with translated(self.path):
            # In one write, and always as long as the one before: whenever we are killed, one of the two stands there.
            os.pwrite(self.lock_fd, record.ljust(_RECORD_BYTES), 0)

    def clear(self) -> None:
        """Empties the home, all but its lock. Killed on the way, it leaves no half of anything where the whole was.

        Raises:
            HomeUnusable: something in it cannot be removed.
        """
        discarded = self.path / _DISCARDED
        with translated(self.path):
            discarded.mkdir(exist_ok=True)
            for entry in self.path.iterdir():
                if entry.name not in (LOCK_NAME, _DISCARDED):
                    entry.rename(discarded / entry.name)
            shutil.rmtree(discarded)
            self.logs.mkdir()

    def close(self) -> None:
        """Lets go of the lock; it is free once the guard has let go, too."""
        os.close(self.lock_fd)


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if (path / LOCK_NAME).exists():
        return
    # Whoever says `--home ~` must not find it emptied by a later `--fresh`.
    strangers = {entry.name for entry in path.iterdir()} - KNOWN_NAMES
    if strangers:
        raise HomeUnusable(
            f"{path} holds other things (such as {min(strangers)!r}) and is no home of hqnas; choose another --home"
        )


def _lock(path: Path, lock_fd: int, *, say: Say, is_stopped: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CLEAN_UP_WAIT_S
    has_said = False
    while True:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_record(lock_fd)
        except OSError as error:
            raise HomeUnusable(
                f"{path} cannot be locked ({error.strerror}); choose a --home on a local disk"
            ) from error
        else:
            return
        if holder is not None and holder.is_alive():
            raise HomeBusy(
                f"hqnas already runs on {path} as process {holder.pid}; stop it first, or choose another --home"
            )
        if is_stopped() or time.monotonic() > deadline:
            raise HomeBusy(f"the clean-up after an earlier hqnas on {path} has not ended; try again in a minute")
        if not has_said and holder is not None:
            say(f"hqnas was killed on this home (process {holder.pid}); waiting for its clean-up.")
            has_said = True
        time.sleep(0.05)


def _read_record(lock_fd: int) -> LaunchRecord | None:
    with contextlib.suppress(ValueError, TypeError):
        return LaunchRecord(**json.loads(os.pread(lock_fd, 4096, 0)))
    return None


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Says in a sentence what keeps the block from using the path.

    Raises:
        HomeUnusable: whatever the operating system refused.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise HomeUnusable(f"{error.filename or path} is a file, not a folder; choose another --home") from error
    except PermissionError as error:
        raise HomeUnusable(f"{path} cannot be written (permission denied); choose another --home") from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise HomeUnusable(f"{path} is on a read-only disk; choose another --home") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HomeUnusable(f"no space is left for {path}; free some, or choose another --home") from error
        raise HomeUnusable(f"{path} cannot be used ({error.strerror}); choose another --home") from error
