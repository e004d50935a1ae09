"""What the launcher leaves behind when it, or a part of it, is killed: nothing, and data to go on with."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from launches import DRIVER, Launch, Start, rows, starting
from processes import PATIENCE_S, wait_until

from hqnas.launcher.lifeline import LAUNCH_VARIABLE

pytestmark = pytest.mark.integration


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as start:
        yield start


@pytest.mark.parametrize("kind", ["plain", "forking", "stubborn", "unwatched"])
def test_nothing_survives_a_killed_launcher(start: Start, kind: str) -> None:
    launch = start("--worker", kind).wait_until_up()
    assert launch.has("postgres: checkpointer")

    launch.process.kill()

    assert launch.survivors() == []


def test_nothing_survives_a_killed_process_group(start: Start) -> None:
    launch = start("--worker", "forking", "--", "sleep", "3600").wait_until_up()
    wait_until(lambda: launch.shows("sleep 3600"), "the command")

    os.killpg(launch.process.pid, signal.SIGKILL)

    assert launch.survivors() == []


def test_the_command_does_not_survive_a_killed_launcher(start: Start) -> None:
    launch = start("--", "sh", "-c", "sleep 3600 & wait").wait_until_up()
    wait_until(lambda: launch.shows("sleep 3600"), "the command")

    launch.process.kill()

    assert launch.survivors() == []


def test_a_launch_ends_with_a_killed_make(start: Start, tmp_path: Path) -> None:
    words = [sys.executable, str(DRIVER), "launch", str(tmp_path / "home"), "0", "--stop-with-parent"]
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\texec {shlex.join(words)}\n")
    make = Launch.__new__(Launch)
    make.output_path = tmp_path / "make.out"
    with make.output_path.open("wb") as output:
        make.process = subprocess.Popen(
            ["make", "-f", str(makefile)], stdout=output, stderr=output, start_new_session=True
        )
    make.wait_until_up()

    make.process.kill()

    assert make.survivors() == []


def test_postgres_does_not_survive_when_its_guard_is_killed_too(start: Start) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's end")
    launch = start("--worker", "forking").wait_until_up()
    guard = launch.named("hqnas.launcher.guard")

    launch.process.send_signal(signal.SIGSTOP)
    guard.kill()
    launch.process.kill()

    assert launch.survivors() == []


def test_a_launch_after_a_kill_resumes_with_the_data(start: Start) -> None:
    first = start().wait_until_up()
    first.process.kill()
    first.process.wait()

    second = start().wait_until_up()
    second.process.send_signal(signal.SIGINT)

    assert second.wait() == 0
    assert second.survivors() == []
    assert len(rows(second.home, "SELECT id FROM launched")) == 2


def test_a_launch_after_a_kill_of_the_guard_as_well_resumes_with_the_data(start: Start) -> None:
    first = start("--worker", "unwatched").wait_until_up()
    first.process.send_signal(signal.SIGSTOP)
    first.named("hqnas.launcher.guard").kill()
    first.process.kill()

    second = start().wait_until_up()

    assert first.survivors() == []
    second.process.send_signal(signal.SIGTERM)
    assert second.wait() == 0
    assert len(rows(second.home, "SELECT id FROM launched")) == 2


def test_a_child_that_dies_is_started_again(start: Start) -> None:
    launch = start().wait_until_up()
    worker = launch.named(f"{DRIVER.name} worker")

    worker.kill()
    wait_until(lambda: launch.shows(f"{DRIVER.name} worker", besides=worker), "another worker")

    assert "worker-1 was ended by SIGKILL; it starts again in 0.5 s" in launch.output


def test_a_postgres_that_dies_is_started_again_under_the_same_url(start: Start) -> None:
    launch = start().wait_until_up()
    server = launch.named("postgres -D ")
    url = psutil.Process(launch.named("controller").pid).environ()["HQNAS_DATABASE_URL"]

    server.kill()

    def is_back() -> bool:
        with contextlib.suppress(psycopg.Error), psycopg.connect(url) as connection:
            return connection.execute("SELECT count(*) FROM launched").fetchone() == (1,)
        return False

    server.wait(PATIENCE_S)
    wait_until(is_back, "the database")


def test_a_killed_guard_ends_the_launch_with_a_sentence(start: Start) -> None:
    launch = start().wait_until_up()

    launch.named("hqnas.launcher.guard").kill()

    assert launch.wait() == 1
    assert "the guard of PostgreSQL ended unexpectedly" in launch.output
    assert launch.survivors() == []


def test_the_lifeline_is_held_by_the_launcher_alone(start: Start) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    launch = start("--worker", "forking", "--", "sleep", "3600").wait_until_up()
    worker = launch.named(f"{DRIVER.name} worker")
    inode = worker.environ()["HQNAS_LIFELINE_FD"].partition(":")[2]

    def writes(process: psutil.Process) -> bool:
        for fd in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if fd.stat().st_ino == int(inode) and fd.readlink().name.startswith("pipe:"):
                    flags = re.search(r"flags:\s+(\d+)", Path(f"/proc/{process.pid}/fdinfo/{fd.name}").read_text())
                    assert flags is not None
                    if int(flags[1], 8) & os.O_ACCMODE == os.O_WRONLY:
                        return True
        return False

    assert [process.pid for process in launch.family if writes(process)] == [launch.process.pid]
    assert LAUNCH_VARIABLE not in launch.named("hqnas.launcher.guard").environ()
