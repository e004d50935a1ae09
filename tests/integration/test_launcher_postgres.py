"""The embedded PostgreSQL by itself: where it can live and what it survives."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from processes import wait_until

from hqnas.launcher import cluster, exec_as
from hqnas.launcher.errors import PostgresFailed
from hqnas.launcher.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path / "pg", is_durable=False) as server:
        yield server


def ask(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("name", ["with space", 'quote\'s "and" %2F ümläut', "comma,comma", "deep/" * 30 + "end"])
def test_it_lives_under_any_path(tmp_path: Path, name: str) -> None:
    with EmbeddedPostgres(tmp_path / name, is_durable=False) as server:
        assert ask(server, "SELECT 1") == 1
        socket_folder = cluster.socket_folder(server.directory)
        assert cluster.url_of_running(server.directory) == server.url
    assert cluster.url_of_running(tmp_path / name) is None
    assert socket_folder.parent == server.directory or not socket_folder.exists()


def test_it_does_not_depend_on_locale_or_time_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "no_SUCH.locale")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PGPORT", "1")
    with EmbeddedPostgres(tmp_path / "pg", is_durable=False) as server:
        assert ask(server, "SELECT current_setting('TimeZone')") == "UTC"
        assert ask(server, "SELECT datlocale FROM pg_database WHERE datname = current_database()") == "C.UTF-8"
        assert ask(server, "SELECT upper('ü')") == "Ü"


def test_it_listens_on_no_network(server: EmbeddedPostgres) -> None:
    assert ask(server, "SELECT current_setting('listen_addresses')") == ""
    assert psutil.Process(server.pid).net_connections(kind="inet") == []


def test_it_never_runs_as_root(server: EmbeddedPostgres) -> None:
    assert psutil.Process(server.pid).uids().effective != 0


def test_the_role_of_another_is_not_ours(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url.replace(f"{cluster.ROLE}@", "postgres@"))


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_it_starts_again_with_its_data(tmp_path: Path, mode: str) -> None:
    server = EmbeddedPostgres(tmp_path / "pg").start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    server.stop("fast" if mode == "fast" else "immediate")
    assert not server.is_running()

    with server:
        assert ask(server, "SELECT value FROM kept") == 7


def test_a_stop_ends_idle_connections_at_once(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        server.stop("fast")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_server_left_running_is_ended_before_another_starts(tmp_path: Path) -> None:
    left = EmbeddedPostgres(tmp_path / "pg", is_durable=False).start()
    pid = left.pid

    with EmbeddedPostgres(tmp_path / "pg", is_durable=False) as server:
        assert server.pid != pid
        assert not left.is_running()
        assert ask(server, "SELECT 1") == 1


def test_a_stale_process_id_of_a_stranger_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", is_durable=False).start()
    pid_file = tmp_path / "pg" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    stranger = os.getppid()
    pid_file.write_text("\n".join([str(stranger), *lines[1:]]) + "\n")

    with server:
        assert ask(server, "SELECT 1") == 1
    assert psutil.pid_exists(stranger)


def test_a_status_file_that_a_kill_left_empty_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", is_durable=False).start()
    server.stop()
    (tmp_path / "pg" / "data" / "postmaster.pid").write_bytes(b"")

    with server:
        assert ask(server, "SELECT 1") == 1


def test_a_server_whose_process_dies_is_left_to_its_owner(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg") as server:
        with psycopg.connect(server.url) as connection:
            psutil.Process(connection.info.backend_pid).kill()
            wait_until(lambda: not server.is_running(), "its end")
        server.start()
        assert ask(server, "SELECT 1") == 1


def test_data_half_made_are_made_anew(tmp_path: Path) -> None:
    (tmp_path / "pg" / "data.new" / "base").mkdir(parents=True)
    (tmp_path / "pg" / "data.new" / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(tmp_path / "pg", is_durable=False) as server:
        assert ask(server, "SELECT 1") == 1


def test_a_server_that_cannot_start_gives_its_reason(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", is_durable=False).start()
    server.stop()
    (tmp_path / "pg" / "data" / "global" / "pg_control").write_bytes(b"")

    with pytest.raises(PostgresFailed, match="pg_control"):
        server.start()


def test_no_url_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(PostgresFailed, match="was not started"):
        _ = EmbeddedPostgres(tmp_path).url


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="looks at what root's server may do")
def test_root_opens_no_folder_to_others_to_reach_its_data(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with EmbeddedPostgres(closed / "pg", is_durable=False) as server:
        assert ask(server, "SELECT 1") == 1
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root becomes another account")
def test_a_program_in_a_folder_closed_to_its_account_finds_what_lies_beside_it(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text(f"#!{sys.executable}\nimport os\nprint(os.getuid(), os.access(__file__, os.R_OK | os.X_OK))\n")
    program.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    ids = [nobody.pw_uid, nobody.pw_gid, os.getpid(), int(signal.SIGTERM)]
    command = [sys.executable, "-I", "-S", exec_as.__file__, *map(str, ids), "/", str(program)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == (f"{nobody.pw_uid} True\n", "")
