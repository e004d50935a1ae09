"""The launcher killed at named moments of its start, work and end: the next launch goes on, and nothing is left.

Moments are what a look at the home, the output or the processes shows, never a time. A walk goes through all of them on
one home: each launch has to make good what the kill of the one before it left, and is itself killed at the next moment.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest
from launches import DRIVER, Launch, Start, command_line, rows, starting
from processes import wait_until

pytestmark = pytest.mark.integration

Shows = Callable[[Launch], bool]


@dataclass(frozen=True, slots=True)
class Moment:
    name: str
    has_come: Shows
    with_guard: bool = False  #: whether the guard is killed as well, who would clean up


def has(*parts: str) -> Shows:
    """The home has such a file."""
    return lambda launch: launch.home.joinpath(*parts).exists()


def logs(part: str) -> Shows:
    """PostgreSQL says so in this launch."""
    return lambda launch: part in log_of_postgres(launch.home)[launch.log_start :]


def runs(part: str) -> Shows:
    return lambda launch: launch.shows(part)


def lacks(part: str) -> Shows:
    return lambda launch: not launch.shows(part)


def is_up(launch: Launch) -> bool:
    return "hqnas is up" in launch.output or has_ended(launch)


def has_ended(launch: Launch) -> bool:
    return launch.process.poll() is not None


_BEFORE: Final = (
    Moment("the home is made", has("launcher.lock")),
    Moment("the guard starts", has("logs", "guard.log"), with_guard=True),
    Moment("initdb begins", has("postgres", "data.new", "PG_VERSION"), with_guard=True),
    Moment("initdb fills the data", has("postgres", "data.new", "base", "4"), with_guard=True),
    Moment("the data are made", has("postgres", "data", "PG_VERSION")),
    Moment("PostgreSQL starts", logs("starting PostgreSQL"), with_guard=True),
    Moment("PostgreSQL is ready", logs("ready to accept connections")),
    Moment("the migration is under way", runs(f"{DRIVER.name} migrate"), with_guard=True),
)
_MIGRATED: Final = (
    Moment("the API starts", runs(f"{DRIVER.name} api")),
    Moment("the worker starts", runs(f"{DRIVER.name} worker"), with_guard=True),
    Moment("all is up", is_up),
)
_STOPPING: Final = (
    Moment("it is asked to stop", lambda launch: "Stopping" in launch.output),
    Moment("the worker is gone", lacks(f"{DRIVER.name} worker"), with_guard=True),
    Moment("the API is gone", lacks(f"{DRIVER.name} api")),
    Moment("PostgreSQL stops", logs("received fast shutdown request"), with_guard=True),
)
MOMENTS: Final = (*_BEFORE, *_MIGRATED, *_STOPPING)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as start:
        yield start


def test_a_launcher_killed_at_any_moment_starts_again_and_goes_on(start: Start) -> None:
    killed = [kill_at(start, moment) for moment in MOMENTS]

    last = start().wait_until_up()
    last.process.send_signal(signal.SIGTERM)

    assert last.wait() == 0
    assert last.survivors() == []
    for launch, moment in zip(killed, MOMENTS, strict=True):
        assert launch.survivors() == [], moment.name
        assert "Traceback" not in launch.output, moment.name
    assert [line for process in psutil.process_iter() if str(last.home) in (line := command_line(process))] == []
    left = {path.name for path in (last.home / "postgres").iterdir()}
    assert left - {"run"} == {"data", "hba.conf", "ident.conf"}  # a long path has its socket elsewhere
    n_launched = len(rows(last.home, "SELECT id FROM launched"))
    assert len(_MIGRATED) + len(_STOPPING) < n_launched <= len(MOMENTS)


def kill_at(start: Start, moment: Moment) -> Launch:
    """Starts a launch, and kills it when the moment has come."""
    launch = start()
    launch.log_start = len(log_of_postgres(launch.home))
    if moment in _STOPPING:
        launch.wait_until_up()
        launch.process.send_signal(signal.SIGTERM)
    # Whoever comes too late for a moment kills at the next one that cannot be missed.
    is_past = is_up if moment not in _STOPPING else has_ended
    wait_until(lambda: moment.has_come(launch) or is_past(launch), moment.name)
    with contextlib.suppress(psutil.NoSuchProcess):
        os.kill(launch.process.pid, signal.SIGSTOP)  # so that it starts nothing between the two kills
        launch.note_family()
    for process in launch.family:
        if moment.with_guard and "hqnas.launcher.guard" in command_line(process):
            process.kill()
    launch.process.kill()
    return launch


def log_of_postgres(home: Path) -> str:
    with contextlib.suppress(OSError):
        return (home / "logs" / "postgres.log").read_text()
    return ""
