"""What the guard does about a PostgreSQL that ends, without a server."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from hqnas.launcher.errors import DiskFull, PostgresFailed
from hqnas.launcher.guard import Guard
from hqnas.launcher.restarts import N_RESTARTS


@pytest.fixture
def lifeline() -> Iterator[int]:
    read_fd, write_fd = os.pipe()
    yield read_fd
    os.close(read_fd)
    os.close(write_fd)


class Server(SimpleNamespace):
    """A PostgreSQL that comes up, ends, and ends again while it recovers, so many times; first for want of space."""

    def __init__(self, n_deaths: int, *, n_without_space: int = 0) -> None:
        super().__init__(directory="/nowhere", log="log", url="postgresql://x", n_launches=0)
        self.n_deaths, self.n_without_space = n_deaths, n_without_space

    def launch(self) -> None:
        self.n_launches += 1

    def is_ready(self) -> bool:
        if 1 < self.n_launches <= 1 + self.n_without_space:
            raise DiskFull("no space is left on the disk")
        if 1 < self.n_launches <= 1 + self.n_deaths:
            raise PostgresFailed("PostgreSQL ended")
        return True

    def is_running(self) -> bool:
        return self.n_launches > 1 + self.n_deaths


def guard_of(lifeline: int, server: Server, monkeypatch: pytest.MonkeyPatch) -> Guard:
    monkeypatch.setattr("hqnas.launcher.restarts.FIRST_DELAY_S", 0.0)
    monkeypatch.setattr("hqnas.launcher.guard.is_full", lambda _: False)
    guard = Guard(lifeline, server)  # type: ignore[arg-type]  # all that it uses
    genuine = guard._is_over

    def is_over(wait_s: float) -> Any:
        return server.is_running() or genuine(0.0)

    monkeypatch.setattr(guard, "_is_over", is_over)
    return guard


def test_a_postgres_that_dies_while_it_recovers_is_started_again(
    lifeline: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(n_deaths=N_RESTARTS - 1)
    guard = guard_of(lifeline, server, monkeypatch)
    guard.watch()
    assert server.n_launches == 1 + N_RESTARTS
    assert "error" not in capsys.readouterr().out


def test_a_postgres_that_dies_as_space_returns_is_started_again(
    lifeline: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(n_deaths=4, n_without_space=3)
    guard_of(lifeline, server, monkeypatch).watch()
    assert server.n_launches == 1 + 4 + 1
    assert "error" not in capsys.readouterr().out


def test_a_postgres_that_keeps_dying_as_space_returns_is_given_up(
    lifeline: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_without_space = 2  # the wait for space is one of the restarts that are counted
    server = Server(n_deaths=10 * N_RESTARTS, n_without_space=n_without_space)
    guard = guard_of(lifeline, server, monkeypatch)
    with pytest.raises(PostgresFailed, match="keeps dying"):
        guard.watch()
    assert server.n_launches == 1 + n_without_space + N_RESTARTS


def test_a_postgres_that_keeps_dying_while_it_recovers_is_given_up(
    lifeline: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(n_deaths=10 * N_RESTARTS)
    guard = guard_of(lifeline, server, monkeypatch)
    with pytest.raises(PostgresFailed, match="keeps dying"):
        guard.watch()
    assert server.n_launches == 1 + N_RESTARTS
