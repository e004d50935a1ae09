"""The launcher with real processes and a real PostgreSQL: starting, running, stopping, refusing."""

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from launches import Start, rows, starting
from processes import wait_until

from hqnas.launcher.child import Child, ProcessSpec
from hqnas.launcher.errors import ChildFailed, HomeUnusable, PortUnavailable
from hqnas.launcher.lifeline import Lifeline
from hqnas.launcher.plan import find_port

pytestmark = pytest.mark.integration


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as start:
        yield start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_without_an_error(start: Start, number: signal.Signals) -> None:
    launch = start().wait_until_up()

    launch.process.send_signal(number)

    assert launch.wait() == 0
    assert launch.survivors() == []
    assert "Traceback" not in launch.output


def test_workers_stop_first_and_the_database_last(start: Start) -> None:
    launch = start().wait_until_up()
    # Up is who serves; worker and controller may still be starting.
    for name in ("worker-1", "controller-1"):
        log = launch.home / "logs" / f"{name}.log"
        wait_until(lambda log=log: "to be stopped in order" in log.read_text(), f"{name} to be ready")  # type: ignore[misc]

    launch.process.send_signal(signal.SIGINT)
    launch.wait()

    assert rows(launch.home, "SELECT name FROM stopped ORDER BY id") == ["worker", "controller", "api"]


def test_asked_twice_the_launcher_does_not_wait_for_a_stubborn_worker(start: Start) -> None:
    launch = start("--worker", "stubborn").wait_until_up()

    launch.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    launch.process.send_signal(signal.SIGINT)

    assert launch.wait() == 0
    assert launch.survivors() == []


def test_a_signal_while_starting_stops_all(start: Start) -> None:
    launch = start()
    wait_until(lambda: (launch.home / "postgres").exists(), "the making of the data")
    launch.note_family()

    launch.process.send_signal(signal.SIGTERM)

    assert launch.wait() == 0
    assert launch.survivors() == []


def test_the_command_gets_the_url_and_gives_the_status(start: Start) -> None:
    launch = start("--", "sh", "-c", 'echo "command at $HQNAS_URL"; exit 7')

    assert launch.wait() == 7
    url = re.search(r"hqnas is up: (\S+)", launch.output)
    assert url is not None
    assert f"command at {url[1]}" in launch.output


def test_ctrl_c_during_the_command_ends_it(start: Start) -> None:
    launch = start("--", "sleep", "3600").wait_until_up()
    wait_until(lambda: launch.shows("sleep 3600"), "the command")

    os.killpg(launch.process.pid, signal.SIGINT)

    assert launch.wait() == 128 + signal.SIGINT
    assert launch.survivors() == []


def test_a_second_launch_on_a_home_is_refused_by_the_name_of_the_first(start: Start) -> None:
    first = start().wait_until_up()

    second = start()

    assert second.wait() == 1
    assert second.output.count("\n") == 1
    assert f"already runs on {first.home} as process {first.process.pid}" in second.output


def test_a_port_in_use_is_named_with_the_option(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        launch = start(port=port)
        assert launch.wait() == 1

    assert launch.output.count("\n") == 1
    assert f"port {port} " in launch.output
    assert "--port" in launch.output


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(PortUnavailable, match=r"'no\.such\.host\.invalid' is no address"):
        find_port("no.such.host.invalid", 0)


@pytest.mark.parametrize(("name", "what"), [("api", "did not start"), ("migrate", "failed")])
def test_a_process_that_cannot_start_shows_its_log(start: Start, name: str, what: str) -> None:
    launch = start("--broken", name)

    assert launch.wait() == 1
    assert f"{name} {what} (ended with status 1)" in launch.output
    assert "    the moon is in the wrong quarter" in launch.output
    assert "Traceback" not in launch.output
    assert launch.survivors() == []


def test_a_child_that_keeps_dying_is_given_up_with_its_log(tmp_path: Path) -> None:
    now = 0.0
    spec = ProcessSpec("worker-1", "worker", ("/bin/sh", "-c", "echo no luck; exit 3"))
    with contextlib.closing(Lifeline()) as lifeline:
        fd = lifeline.read_fd
        child = Child(spec, logs=tmp_path, environment=os.environ, lifeline_fd=fd, clock=lambda: now)
        child.start()
        n_restarts = 0
        while n_restarts < 5:
            if child.keep_up() is not None:
                n_restarts += 1
                now += 10.0
        child.keep_up()
        wait_until(lambda: child.status is not None, "the last end")
        with pytest.raises(ChildFailed, match=r"worker-1 keeps dying \(ended with status 3\).*\n    no luck"):
            child.keep_up()


def test_fresh_empties_the_home(start: Start) -> None:
    first = start("--", "true")
    assert first.wait() == 0
    (first.home / "broker").mkdir()

    second = start("--fresh", "--", "true")

    assert second.wait() == 0
    assert not (second.home / "broker").exists()
    assert len(rows(second.home, "SELECT id FROM launched")) == 1


def test_fresh_never_empties_a_folder_of_somebody_else(start: Start, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("a thesis")

    launch = start("--fresh", home=tmp_path)

    assert launch.wait() == 1
    assert "holds other things" in launch.output
    assert (tmp_path / "precious.txt").read_text() == "a thesis"


def test_a_home_that_cannot_be_written_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    launch = start(home=tmp_path / "file")

    assert launch.wait() == 1
    assert f"{tmp_path / 'file'} is a file, not a folder" in launch.output
    assert HomeUnusable.__name__ not in launch.output
