"""The launcher's decisions, without a process or a server."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

from hqnas.launcher import cluster, lifeline
from hqnas.launcher.child import Child, stop_roles
from hqnas.launcher.command import check_command
from hqnas.launcher.errors import CommandNotFound, DiskFull, HomeBusy, HomeUnusable, PostgresFailed, PostgresMissing
from hqnas.launcher.home import _RECORD_BYTES, LOCK_NAME, Home, LaunchRecord
from hqnas.launcher.plan import is_loopback, reach, service
from hqnas.launcher.restarts import N_RESTARTS, PROVEN_AFTER_S, RestartPolicy
from hqnas.launcher.signals import Stopped, StopSignals


def quiet(_: str) -> None:
    pass


def take(path: Path) -> Home:
    home = Home.take(path, say=quiet)
    home.sign("a-launch")
    return home


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_restarts_come_later_each_time_and_end() -> None:
    policy = RestartPolicy(Clock())
    assert [policy.next_delay_s() for _ in range(N_RESTARTS + 1)] == [0.5, 1.0, 2.0, 4.0, 8.0, None]


def test_a_process_that_proved_itself_is_restarted_at_once_again() -> None:
    clock = Clock()
    policy = RestartPolicy(clock)
    for _ in range(N_RESTARTS):
        policy.next_delay_s()
    policy.started()
    clock.now += PROVEN_AFTER_S
    assert policy.next_delay_s() == 0.5


def test_roles_stop_in_the_reverse_order_of_their_start() -> None:
    specs = service("127.0.0.1", 8000, n_workers=2, n_slots=1, n_controllers=1)
    children = [Child(spec, logs=Path(), environment={}, lifeline_fd=0) for spec in specs]
    names = [[child.spec.name for child in role] for role in stop_roles(children)]
    assert names == [["worker-1", "worker-2"], ["controller-1"], ["api"]]


def test_each_process_has_its_own_name() -> None:
    names = [spec.name for spec in service("127.0.0.1", 8000, n_workers=3, n_slots=1, n_controllers=2)]
    assert len(set(names)) == len(names) == 6


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://127.0.0.1:8000"),
    ],
)
def test_the_url_reaches_the_api_from_this_machine(host: str, url: str) -> None:
    assert reach(host, 8000) == url


def test_only_this_machine_reaches_the_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "a.host"))


@pytest.mark.parametrize("variable", ["", "7", "x:1", "-1:2", "99999:1"])
def test_no_lifeline_is_watched_where_none_was_given(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lifeline.LIFELINE_VARIABLE, variable)
    assert lifeline.watch() is False


def test_a_descriptor_that_is_another_pipe_is_not_taken_for_the_lifeline(monkeypatch: pytest.MonkeyPatch) -> None:
    read_fd, write_fd = os.pipe()
    inode = os.fstat(read_fd).st_ino
    monkeypatch.setenv(lifeline.LIFELINE_VARIABLE, f"{read_fd}:{inode + 1}")
    assert lifeline.watch() is False
    os.close(read_fd)
    os.close(write_fd)


def test_both_ends_of_the_lifeline_are_closed_in_programs_that_are_started() -> None:
    line = lifeline.Lifeline()
    assert not os.get_inheritable(line.read_fd)
    assert not os.get_inheritable(line._write_fd)
    line.close()


def test_a_home_is_made_with_its_parents(tmp_path: Path) -> None:
    home = take(tmp_path / "a" / "b c")
    assert (tmp_path / "a" / "b c" / LOCK_NAME).is_file()
    assert home.logs.is_dir()
    assert home.previous is None
    home.close()


def test_a_home_knows_the_launch_before(tmp_path: Path) -> None:
    take(tmp_path / "home").close()
    home = take(tmp_path / "home")
    assert home.previous is not None
    assert home.previous.pid == os.getpid()
    home.close()


def test_a_home_is_taken_once(tmp_path: Path) -> None:
    home = take(tmp_path / "home")
    with pytest.raises(HomeBusy, match=f"already runs on .* as process {os.getpid()};"):
        take(tmp_path / "home")
    home.close()


def test_waiting_for_a_clean_up_can_be_stopped(tmp_path: Path) -> None:
    home = take(tmp_path / "home")
    os.ftruncate(home.lock_fd, 0)
    with pytest.raises(HomeBusy, match="has not ended"):
        Home.take(tmp_path / "home", say=quiet, is_stopped=lambda: True)
    home.close()


def test_a_home_with_a_torn_lock_file_is_taken(tmp_path: Path) -> None:
    take(tmp_path / "home").close()
    (tmp_path / "home" / LOCK_NAME).write_text('{"pid": 1')
    home = take(tmp_path / "home")
    assert home.previous is None
    home.close()


def test_the_launch_before_is_known_until_its_leftovers_are_ended(tmp_path: Path) -> None:
    take(tmp_path / "home").close()
    Home.take(tmp_path / "home", say=quiet).close()  # and killed before it signed
    home = Home.take(tmp_path / "home", say=quiet)
    assert home.previous is not None
    assert home.previous.launch == "a-launch"
    home.sign("b")
    assert (home.path / LOCK_NAME).stat().st_size == _RECORD_BYTES
    home.close()


def test_a_home_whose_clearing_was_cut_short_has_no_half_of_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = take(tmp_path / "home")
    (home.postgres / "data").mkdir(parents=True)
    with monkeypatch.context() as patching:
        patching.setattr("hqnas.launcher.home.shutil.rmtree", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            home.clear()
    assert not home.postgres.exists()
    home.close()
    home = take(tmp_path / "home")
    assert sorted(entry.name for entry in home.path.iterdir()) == [LOCK_NAME, "logs"]
    home.close()


def test_clearing_a_home_keeps_its_lock_and_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    home = take(tmp_path / "home")
    (home.path / "postgres").mkdir()
    (home.path / "link").symlink_to(outside)
    home.clear()
    assert sorted(entry.name for entry in home.path.iterdir()) == [LOCK_NAME, "logs"]
    assert (outside / "kept").exists()
    home.close()


def test_a_folder_with_other_things_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(HomeUnusable, match=r"holds other things \(such as 'thesis\.tex'\)"):
        take(tmp_path)
    assert not (tmp_path / LOCK_NAME).exists()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_is_no_home(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusable, match="is a file, not a folder"):
        take(tmp_path / "file" / below)


def test_a_record_of_a_process_that_came_later_is_not_alive() -> None:
    mine = LaunchRecord.of_this_process("a")
    assert mine.is_alive()
    assert not replace(mine, started_at=f"{mine.started_at}0").is_alive()


def test_a_record_of_another_boot_is_not_alive() -> None:
    mine = LaunchRecord.of_this_process("a")
    assert not replace(mine, started_at=f"another-boot:{str(mine.started_at).partition(':')[2]}").is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the time of a start is kept, not computed anew")
def test_a_home_is_taken_once_though_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = take(tmp_path / "home")
    genuine = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: genuine(process) + 5.0)
    with pytest.raises(HomeBusy, match=f"already runs on .* as process {os.getpid()};"):
        Home.take(home.path, say=quiet, is_stopped=lambda: True)
    home.close()


@pytest.mark.parametrize(("later_s", "told"), [(0.0, "already runs on"), (5.0, "has not ended")])
def test_a_lock_file_of_an_earlier_version_is_understood(tmp_path: Path, later_s: float, told: str) -> None:
    home = take(tmp_path / "home")
    started_at = psutil.Process().create_time() - later_s
    record = {"pid": os.getpid(), "started_at": started_at, "launch": "a"}
    (home.path / LOCK_NAME).write_text(json.dumps(record).ljust(_RECORD_BYTES))
    with pytest.raises(HomeBusy, match=told):
        Home.take(home.path, say=quiet, is_stopped=lambda: True)
    home.close()


@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded"])
def test_no_space_is_told_from_other_failures(tmp_path: Path, reason: str) -> None:
    output = f"LOG: starting\nFATAL:  could not write file: {reason}\n"
    assert isinstance(cluster.failure("PostgreSQL", output, directory=tmp_path), DiskFull)


def test_no_space_is_the_reason_where_there_is_none_whatever_the_log_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    error = cluster.failure("PostgreSQL", "PANIC:  cannot abort transaction 1\n", directory=tmp_path)
    assert isinstance(error, DiskFull)


def test_a_read_only_disk_is_told_from_other_failures(tmp_path: Path) -> None:
    output = 'FATAL:  could not create lock file "postmaster.pid": Read-only file system\n'
    error = cluster.failure("PostgreSQL in a-folder ended", output, directory=tmp_path)
    assert str(error).startswith("PostgreSQL in a-folder ended: the disk is read-only; make it writable")


def test_the_telling_line_of_a_log_is_the_reason(tmp_path: Path) -> None:
    output = "LOG: starting\nFATAL:  the moon is wrong\nLOG:  database system is shut down\n"
    error = cluster.failure("PostgreSQL", output, directory=tmp_path)
    assert type(error) is PostgresFailed
    assert str(error) == "PostgreSQL: FATAL:  the moon is wrong"


def test_data_of_another_major_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresFailed, match="are of PostgreSQL 16 and this installation brings 18"):
        cluster.make_data(tmp_path, cluster.Account.for_data(tmp_path / "data"), is_durable=True)


def test_data_without_a_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(PostgresFailed, match="no PostgreSQL data directory"):
        cluster.make_data(tmp_path, cluster.Account.for_data(tmp_path / "data"), is_durable=True)


def test_a_missing_wheel_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PostgresMissing, match=r"pip install 'hqnas\[local\]'"):
        cluster.find_program("postgres")


@pytest.mark.parametrize("directory", ["/tmp/" + "x" * 90, "/tmp/a,b"])
def test_a_path_that_no_socket_can_have_gets_a_short_stand_in(directory: str) -> None:
    folder = cluster.socket_folder(Path(directory))
    assert folder == cluster.short_socket_folder(Path(directory))
    assert len(os.fsencode(folder / cluster.SOCKET_NAME)) <= cluster.LONGEST_SOCKET_PATH


def test_a_command_that_is_no_program_is_refused() -> None:
    check_command(())
    check_command(("sh", "-c", "true"))
    with pytest.raises(CommandNotFound, match="no program 'no-such-program'"):
        check_command(("no-such-program",))


def test_a_signal_stops_at_the_next_look_and_the_handlers_return() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals(watches_parent=False) as signals:
        signals.check()
        signal.raise_signal(signal.SIGTERM)
        assert signals.is_stopped
        assert not signals.is_urgent
        with pytest.raises(Stopped) as caught:
            signals.check()
    assert caught.value.status == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_ignored_on_purpose_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopSignals(watches_parent=False) as signals:
        signal.raise_signal(signal.SIGHUP)
        assert not signals.is_stopped
    signal.signal(signal.SIGHUP, before)
