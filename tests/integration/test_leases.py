"""The parent process keeps the leases of its pool: renewing, telling to abandon, limits and blame, by single looks.

The processes are real and compute nothing; what they show on the board is written for them.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from made_up import advance_all, pending, submit
from processes import wait_until
from sqlalchemy import Engine, func, select, update

from config.settings import Settings
from models import Evaluation, UnitOfWork
from models.evaluations import Claim, Token
from models.states import EvaluationState
from worker import leases
from worker.board import Board, Shown
from worker.leases import LeaseKeeper
from worker.pool import Pool

GIB = 2**30


@dataclass
class Process:
    """A process of a pool."""

    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def exitcode(self) -> int | None:
        return self.popen.poll()


@dataclass
class Processes:
    """Processes that a keeper watches, and their board."""

    board: Board
    processes: list[Process] = field(default_factory=list)
    is_leaving: bool = False
    pool: Pool = field(init=False)

    def __post_init__(self) -> None:
        self.pool = Pool(lambda: self.processes)

    def start(self, *command: str) -> Process:
        process = Process(subprocess.Popen(command or ("sleep", "1000")))
        self.processes.append(process)
        return process

    def show(
        self, process: Process, claims: Sequence[Claim], *, for_s: float | None = 0.0, n_shares: int | None = None
    ) -> None:
        self.board.folder.mkdir(exist_ok=True)
        shown = {
            "attempts": [(str(one.evaluation_id), one.attempt) for one in claims],
            "computing_since": None if for_s is None else time.monotonic() - for_s,
            "n_shares": n_shares or len(claims),
        }
        (self.board.folder / str(process.pid)).write_text(json.dumps(shown))

    def forget(self, ended: Process) -> None:
        """Does what a pool does that has seen the end of a process."""
        self.processes.remove(ended)
        self.pool.remember(ended)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(Board(tmp_path / "board"))
    yield found
    for process in found.processes:
        process.popen.kill()
        process.popen.wait()


@pytest.fixture
def keeper(engine: Engine, settings: Settings, pool: Processes) -> LeaseKeeper:
    return keeper_of(engine, settings, pool)


def keeper_of(engine: Engine, settings: Settings, pool: Processes, *, memory_limit_bytes: float = GIB) -> LeaseKeeper:
    return LeaseKeeper(
        engine,
        settings.model_copy(update={"time_limit_s": 100.0}),
        board=pool.board,
        pool=pool.pool,
        memory_limit_bytes=memory_limit_bytes,
        is_leaving=lambda: pool.is_leaving,
    )


@pytest.fixture
def ids(engine: Engine) -> list[uuid.UUID]:
    """Six pending evaluations."""
    submit(engine, training={"epochs": 5})
    advance_all(engine)
    return [one.id for one in pending(engine)]


def claim(engine: Engine, ids: Sequence[uuid.UUID], *, lease_s: float = 60) -> list[Claim]:
    with UnitOfWork(engine) as work:
        found = work.evaluations.claim(ids, worker="w", lease_s=lease_s)
        work.commit()
    return found


def rows(engine: Engine, ids: Sequence[uuid.UUID]) -> list[Evaluation]:
    with UnitOfWork(engine) as work:
        return [work.session.get_one(Evaluation, one) for one in ids]


def counts(engine: Engine, ids: Sequence[uuid.UUID]) -> list[tuple[str, int, int]]:
    return [(row.state, row.crash_count, row.lost_count) for row in rows(engine, ids)]


def cancel(engine: Engine, ids: Sequence[uuid.UUID]) -> None:
    with UnitOfWork(engine) as work:
        cancelled = {"state": EvaluationState.CANCELLED, "lease_expires_at": None}
        work.session.execute(update(Evaluation).where(Evaluation.id.in_(ids)).values(cancelled))
        work.commit()


def n_expired(engine: Engine) -> int:
    """Sweeps leases that have run out."""
    with UnitOfWork(engine) as work:
        n_lost = work.evaluations.sweep_lost(limit=10)
        work.commit()
    return n_lost


def status(process: Process) -> str:
    return psutil.Process(process.pid).status()


def stop(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: status(process) == psutil.STATUS_STOPPED, "the process to stop")


def end(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(process.pid, number)
    process.popen.wait()


def test_what_a_process_shows_is_renewed_and_what_nobody_shows_runs_out(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    mine, _ = claim(engine, ids[:1], lease_s=-1), claim(engine, ids[1:2], lease_s=-1)
    pool.show(pool.start(), mine)
    keeper.renew()
    assert n_expired(engine) == 1
    assert counts(engine, ids[:2]) == [("running", 0, 0), ("pending", 0, 1)]


def test_a_stopped_process_is_not_renewed_for_it_computes_nothing(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:1], lease_s=-1))
    stop(process)
    keeper.renew()
    assert n_expired(engine) == 1


def test_outcomes_that_wait_for_the_database_are_renewed_and_under_no_limit(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:1], lease_s=-1), for_s=None)
    keeper.renew()
    keeper.look()
    assert n_expired(engine) == 0
    assert process.exitcode is None


def test_what_a_dead_process_was_computing_is_blamed_with_how_it_died(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    neighbour = pool.start()
    pool.show(neighbour, claim(engine, ids[2:3]))
    for _ in range(3):
        process = pool.start()
        pool.show(process, claim(engine, ids[:2]))
        keeper.look()
        end(process, signal.SIGSEGV)
        pool.forget(process)
        keeper.look()
        keeper.look()
        assert [shown.pid for shown in pool.board.read()] == [neighbour.pid]
    assert counts(engine, ids[:3]) == [("failed", 3, 0), ("failed", 3, 0), ("running", 0, 0)]
    message = "its process died 3 times; the last time it was killed by SIGSEGV"
    assert rows(engine, ids[:1])[0].error == {"class": "crashed", "message": message}


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_how_a_process_died_is_told_that_no_look_has_met_alive(
    engine: Engine, pool: Processes, settings: Settings, ids: list[uuid.UUID], *, is_forgotten: bool
) -> None:
    keeper = keeper_of(engine, settings.model_copy(update={"crash_limit": 1}), pool)
    process = pool.start()
    pool.show(process, claim(engine, ids[:1]))
    end(process, signal.SIGSEGV)
    if is_forgotten:
        pool.forget(process)
    keeper.look()
    keeper.look()
    assert "it was killed by SIGSEGV" in (rows(engine, ids[:1])[0].error or {})["message"]


def test_a_death_that_the_pool_has_not_seen_yet_is_told_all_the_same(
    engine: Engine, pool: Processes, settings: Settings, ids: list[uuid.UUID]
) -> None:
    process = pool.start("sh", "-c", "exit 7")
    keeper = keeper_of(engine, settings.model_copy(update={"crash_limit": 1}), pool)
    pool.show(process, claim(engine, ids[:1]))
    wait_until(lambda: status(process) == psutil.STATUS_ZOMBIE, "the process to end")
    keeper.look()
    keeper.look()
    assert "it exited with status 7" in (rows(engine, ids[:1])[0].error or {})["message"]
    assert process.exitcode == 7  # which the pool can still see


def test_nobody_is_blamed_for_a_process_that_dies_with_its_worker(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:1]))
    end(process)
    keeper.look()
    pool.is_leaving = True
    keeper.look()
    keeper.look()
    assert counts(engine, ids[:1]) == [("running", 0, 0)]


def test_a_process_that_died_after_its_result_was_recorded_is_not_blamed(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    (mine,) = claim(engine, ids[:1])
    pool.show(process, [mine], for_s=None)
    with UnitOfWork(engine) as work:
        assert work.evaluations.succeed(mine, {})
        work.commit()
    end(process)
    keeper.look()
    keeper.look()
    assert counts(engine, ids[:1]) == [("succeeded", 0, 0)]
    assert pool.board.read() == []


def test_a_crash_is_recorded_once_the_database_answers(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_RETRY_S", 0.0)
    process = pool.start()
    pool.show(process, claim(engine, ids[:1]))
    end(process)
    keeper.look()
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "commit", disk_is_full)
        keeper.look()
    assert counts(engine, ids[:1]) == [("running", 0, 0)]
    keeper.look()
    assert counts(engine, ids[:1]) == [("pending", 1, 0)]


def disk_is_full(work: UnitOfWork) -> None:
    """Meets the error of a server whose disk is full, from the server itself."""
    work.session.connection().exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$")


def test_a_process_that_has_lost_all_it_computes_is_killed_and_nobody_blamed(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:2]))
    cancel(engine, ids[:1])
    keeper.renew()
    keeper.look()
    assert process.exitcode is None  # the other member is still needed
    cancel(engine, ids[1:2])
    keeper.renew()
    keeper.look()
    assert process.popen.wait() == -signal.SIGKILL
    keeper.look()
    keeper.look()
    assert counts(engine, ids[:2]) == [("cancelled", 0, 0)] * 2
    assert pool.board.read() == []


def test_the_next_attempt_is_not_blamed_for_a_process_that_had_lost_its_own(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:1], lease_s=-1))
    assert n_expired(engine) == 1
    claim(engine, ids[:1])  # by somebody else
    keeper.renew()
    keeper.look()
    assert process.popen.wait() == -signal.SIGKILL
    keeper.look()
    keeper.look()
    assert counts(engine, ids[:1]) == [("running", 0, 1)]
    assert pool.board.read() == []


def test_a_stopped_process_that_has_lost_its_lease_does_not_go_on(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:1], lease_s=-1))
    stop(process)
    keeper.renew()
    n_expired(engine)
    keeper.renew()
    keeper.look()
    assert process.popen.wait() == -signal.SIGKILL


def test_a_process_that_has_gone_on_to_the_next_doorbell_is_not_meant(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:1]))
    (before,) = pool.board.read()
    pool.show(process, claim(engine, ids[1:2]))
    assert not keeper._kill(before)
    assert status(process) != psutil.STATUS_STOPPED
    (now,) = pool.board.read()
    assert keeper._kill(now)
    assert process.popen.wait() == -signal.SIGKILL


def test_an_evaluation_that_runs_too_long_is_stopped_and_the_reason_names_the_limit(
    engine: Engine, pool: Processes, settings: Settings, ids: list[uuid.UUID]
) -> None:
    keeper = keeper_of(engine, settings.model_copy(update={"crash_limit": 1}), pool)
    slow, quick = pool.start(), pool.start()
    pool.show(slow, claim(engine, ids[:1]), for_s=101)
    pool.show(quick, claim(engine, ids[1:3]), for_s=199)  # two of them
    for _ in range(3):
        keeper.look()
        with contextlib.suppress(subprocess.TimeoutExpired):
            slow.popen.wait(timeout=10)
    message = "its process died once; the last time it ran longer than 100 s (HQNAS_TIME_LIMIT_S)"
    assert (rows(engine, ids[:1])[0].error or {})["message"] == message
    assert counts(engine, ids[:3]) == [("failed", 1, 0), ("running", 0, 0), ("running", 0, 0)]


def test_the_limit_of_a_bundle_is_told_with_the_share_of_each(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID]
) -> None:
    process = pool.start()
    pool.show(process, claim(engine, ids[:2]), for_s=201)
    (shown,) = pool.board.read()
    assert keeper._exceeded(shown) == "it ran longer than 200 s (HQNAS_TIME_LIMIT_S, 100 s for each of 2)"


def test_a_process_that_grows_too_large_is_stopped_and_the_reason_names_the_limit(
    engine: Engine, pool: Processes, settings: Settings, ids: list[uuid.UUID]
) -> None:
    few = settings.model_copy(update={"crash_limit": 1})
    keeper = keeper_of(engine, few, pool, memory_limit_bytes=0.0001 * GIB)
    process = pool.start()
    pool.show(process, claim(engine, ids[:1]))
    keeper.look()
    assert process.popen.wait() == -signal.SIGKILL
    keeper.look()
    keeper.look()
    message = (rows(engine, ids[:1])[0].error or {})["message"]
    assert message.endswith("its process grew beyond 0.0001 GiB (HQNAS_MEMORY_LIMIT_GIB)")


def test_a_worker_whose_clock_is_wrong_holds_its_leases_for_no_longer_and_no_shorter(
    engine: Engine, pool: Processes, keeper: LeaseKeeper, ids: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    true_time = time.time
    for error_s in (-600, 600):
        monkeypatch.setattr(time, "time", lambda error_s=error_s: true_time() + error_s)
        pool.show(pool.start(), claim(engine, ids[:1]))
        keeper.renew()
        assert n_expired(engine) == 0
        with UnitOfWork(engine) as work:
            left = work.session.scalar(select(Evaluation.lease_expires_at - func.now()).where(Evaluation.id == ids[0]))
            assert left is not None
            assert 0 < left.total_seconds() <= Settings().lease_s
            work.evaluations.release("w")
            work.commit()


def test_the_board_shows_whole_what_a_process_holds(tmp_path: Path) -> None:
    board, token = Board(tmp_path / "gone" / "board"), Token(uuid.uuid4(), 3)
    with board.at_work():
        assert board.read() == [Shown(os.getpid(), (), None, 0)]
        board.show([token], is_computing=True, n_shares=1)
        (shown,) = board.read()
        assert (shown.attempts, shown.n_shares) == ((token,), 1)
        assert shown.computing_since is not None
    assert board.read() == []


def test_the_board_still_shows_what_a_process_was_computing_that_exits(tmp_path: Path) -> None:
    board, token = Board(tmp_path), Token(uuid.uuid4(), 1)
    with contextlib.suppress(SystemExit), board.at_work():
        board.show([token], is_computing=True, n_shares=1)
        raise SystemExit
    assert [one.attempts for one in board.read()] == [(token,)]
    with pytest.raises(ValueError, match="ordinary"), board.at_work():
        raise ValueError("ordinary")
    assert board.read() == []
