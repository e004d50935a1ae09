"""The launcher on disks that are full, read-only or another's: a sentence at the start, patience later."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from launches import Launch, Start, starting
from processes import wait_until

pytestmark = pytest.mark.integration

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Gives small disks in memory."""
    mounted: list[Path] = []

    def run(*words: str) -> None:
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this machine lets no test mount a disk: {done.stderr.strip()}")

    def mount(size: str, *, options: str = "rw") -> Path:
        disk = tmp_path / f"disk-{len(mounted)}"
        disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(disk))
        mounted.append(disk)
        return disk

    if shutil.which("mount") is None:
        pytest.skip("this machine has no mount")
    yield mount
    for disk in mounted:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def start(mount: Mount, tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as start:
        yield start


def fill(disk: Path) -> Path:
    """Leaves no byte free."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.parametrize("size", ["8k", "1m", "20m"])
def test_a_disk_too_small_to_begin_on_is_one_sentence(start: Start, mount: Mount, size: str) -> None:
    launch = start(home=mount(size) / "home")

    assert launch.wait() == 1
    assert launch.output.count("\n") == 1
    assert "no space is left" in launch.output
    assert str(launch.home) in launch.output
    assert launch.survivors() == []


def test_a_full_disk_under_an_old_home_is_one_sentence(start: Start, mount: Mount) -> None:
    disk = mount("64m")
    first = start("--", "true", home=disk / "home")
    assert first.wait() == 0
    filler = fill(disk)

    second = start("--", "true", home=disk / "home")
    assert second.wait() == 1
    assert (second.output.count("\n"), "no space is left" in second.output) == (1, True), second.output

    filler.unlink()
    assert start("--", "true", home=disk / "home").wait() == 0


def test_a_read_only_disk_is_one_sentence(start: Start, mount: Mount) -> None:
    launch = start(home=mount("1m", options="ro") / "home")

    assert launch.wait() == 1
    assert launch.output == f"error: {launch.home} is on a read-only disk; choose another --home\n"


def test_postgres_that_a_full_disk_stops_goes_on_once_there_is_space(start: Start, mount: Mount) -> None:
    disk = mount("96m")
    launch = start(home=disk / "home").wait_until_up()
    controller = launch.named("controller")
    url = controller.environ()["HQNAS_DATABASE_URL"]
    filler = fill(disk)

    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
        while True:  # until the log needs a segment that there is no space for
            connection.execute("SELECT pg_switch_wal(), pg_logical_emit_message(true, '', '')")
    wait_until(lambda: "It goes on as soon as there is space." in launch.output, "the sentence")
    assert "no space is left on the disk" in launch.output
    filler.unlink()

    wait_until(lambda: "PostgreSQL is up again." in launch.output, "PostgreSQL")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM launched").fetchone() == (1,)
    assert controller.status() != psutil.STATUS_ZOMBIE
    launch.process.send_signal(signal.SIGTERM)
    assert launch.wait() == 0
    assert launch.survivors() == []


AS_NOBODY = """
import os, sys
from pathlib import Path
from hqnas.launcher.errors import HomeUnusable
from hqnas.launcher.home import Home
os.setuid(65534)
try:
    Home.take(Path(sys.argv[1]), say=print)
except HomeUnusable as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_home_of_somebody_else_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path)], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == f"{tmp_path} cannot be written (permission denied); choose another --home\n"


def test_data_that_the_disk_will_not_let_change_are_one_sentence(start: Start, mount: Mount) -> None:
    disk = mount("64m")
    home = disk / "home"
    assert start("--", "true", home=home).wait() == 0
    data = home / "postgres" / "data"
    subprocess.run(["mount", "--bind", str(data), str(data)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(data)], check=True)
    try:
        launch: Launch = start("--", "true", home=home)
        assert launch.wait() == 1
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)
    assert launch.output.count("\n") == 1
    assert f"{home}/postgres ended: the disk is read-only" in launch.output
