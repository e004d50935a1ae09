"""A doorbell with several evaluations: claimed together, and each member with a fate of its own."""

import errno
import math
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import advance_all, candidates, pending, reload, submit
from processes import wait_until
from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from models import UnitOfWork
from models.evaluations import Claim, Token
from models.states import EvaluationState
from models.tables import DEFAULT_TEAM_ID, Evaluation, Search
from nas.evaluation import Evaluation as Measured
from nas.metrics.measurement import Measurement
from nas.metrics.registry import MEASURES
from nas.space import Genome, SearchSpace
from nas.spec import Protocol, parse_spec
from worker import outcomes
from worker.attempt import Attempts
from worker.board import Board
from worker.fault_points import FaultPoint
from worker.outcomes import Outcome

SPEC = parse_spec(
    {
        "name": "bundle",
        "dataset": {"name": "iris"},
        "space": {"qubits": 2, "layers": [1, 2, 3, 4]},
        "objectives": [{"metric": "gates"}],
        "engine": "default.qubit",
    }
)
GENOMES = [SearchSpace.from_spec(SPEC).decode({"layers": i}) for i in range(4)]
Found = Measured | Exception


def measured(genome: Genome, *, telling: float = 0.0) -> Measured:
    return Measured({"gates": Measurement("gates", genome.layers, None)}, (), {"told": telling})


@pytest.fixture
def ids(work: UnitOfWork) -> list[uuid.UUID]:
    """Four pending evaluations, of 1 to 4 layers."""
    protocol = Protocol.from_spec(SPEC)
    with work:
        search = Search(team_id=DEFAULT_TEAM_ID, name="test", spec={})
        work.session.add(search)
        work.session.flush()
        found = [
            work.evaluations.want(
                search,
                genome=genome.to_json(),
                genome_digest=genome.digest,
                protocol=protocol.to_json(),
                protocol_digest=protocol.digest,
                device="cpu",
                engine=protocol.engine,
                qubits=genome.qubits,
                priority=0,
            )[0]
            for genome in GENOMES
        ]
        work.commit()
    return found


@pytest.fixture
def attempts(engine: Engine, settings: Settings) -> Attempts:
    return Attempts(engine, settings, worker="w")


@pytest.fixture
def compute(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Sequence[Genome]], list[Found]]], list[int]]:
    """Puts something in the place of the evaluation, and returns the sizes of the bundles that it gets."""

    def replace(function: Callable[[Sequence[Genome]], list[Found]]) -> list[int]:
        sizes: list[int] = []

        def evaluate_bundle(genomes: Sequence[Genome], _: Protocol) -> list[Found]:
            sizes.append(len(genomes))
            return function(genomes)

        monkeypatch.setattr(outcomes, "evaluate_bundle", evaluate_bundle)
        return sizes

    return replace


Compute = Callable[[Callable[[Sequence[Genome]], list[Found]]], list[int]]


def states(work: UnitOfWork, ids: list[uuid.UUID]) -> list[str]:
    return [row.state for row in rows(work, ids)]


def rows(work: UnitOfWork, ids: list[uuid.UUID]) -> list[Evaluation]:
    with work:
        return [work.session.get_one(Evaluation, one) for one in ids]


def cancel(engine: Engine, ids: list[uuid.UUID]) -> None:
    with UnitOfWork(engine) as work:
        work.session.execute(
            update(Evaluation)
            .where(Evaluation.id.in_(ids))
            .values(state=EvaluationState.CANCELLED, lease_expires_at=None)
        )
        work.commit()


def test_a_bundle_is_computed_at_once_and_each_member_gets_its_own_result(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    sizes = compute(lambda genomes: [measured(genome) for genome in genomes])
    attempts.run(ids)
    assert sizes == [4]
    assert [row.result["metrics"]["gates"]["value"] for row in rows(work, ids) if row.result] == [1, 2, 3, 4]


def test_a_bundle_is_really_evaluated(work: UnitOfWork, attempts: Attempts, ids: list[uuid.UUID]) -> None:
    attempts.run(ids)
    assert [row.result["engine"]["name"] for row in rows(work, ids) if row.result] == ["default.qubit"] * 4


def test_a_member_that_fails_fails_alone(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    def some_fail(genomes: Sequence[Genome]) -> list[Found]:
        fates: dict[int, Found] = {2: MemoryError(), 3: measured(genomes[2], telling=math.nan)}
        return [fates.get(genome.layers, measured(genome)) for genome in genomes]

    compute(some_fail)
    attempts.run(ids)
    assert states(work, ids) == ["succeeded", "failed", "failed", "succeeded"]
    first, second = (row.error or {} for row in rows(work, ids[1:3]))
    assert (first["class"], first["message"]) == ("MemoryError", "MemoryError")
    assert "not JSON compliant" in second["message"]


def test_a_bundle_that_cannot_be_computed_is_computed_one_by_one(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    def together_never(genomes: Sequence[Genome]) -> list[Found]:
        if len(genomes) > 1 or genomes[0].layers == 2:
            raise RuntimeError("too much")
        return [measured(genomes[0])]

    sizes = compute(together_never)
    attempts.run(ids)
    assert sizes == [4, 1, 1, 1, 1]
    assert states(work, ids) == ["succeeded", "failed", "succeeded", "succeeded"]
    assert "too much" in (rows(work, ids)[1].error or {})["traceback"]


def test_a_genome_that_cannot_be_read_fails_alone(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    compute(lambda genomes: [measured(genome) for genome in genomes])
    with work:
        broken = {**GENOMES[0].to_json(), "rotations": None}
        work.session.execute(update(Evaluation).where(Evaluation.id == ids[0]).values(genome=broken))
        work.commit()
    attempts.run(ids)
    assert states(work, ids) == ["failed", "succeeded", "succeeded", "succeeded"]


def test_members_of_different_protocols_are_computed_apart(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    sizes = compute(lambda genomes: [measured(genome) for genome in genomes])
    with work:
        other = Protocol.from_spec(SPEC.model_copy(update={"precision": "complex64"})).to_json()
        work.session.execute(update(Evaluation).where(Evaluation.id == ids[0]).values(protocol=other))
        work.commit()
    attempts.run(ids)
    assert sorted(sizes) == [1, 3]
    assert set(states(work, ids)) == {"succeeded"}


def test_what_another_worker_has_is_left_out(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    with work:
        work.evaluations.claim(ids[:1], worker="other", lease_s=60)
        work.commit()
    sizes = compute(lambda genomes: [measured(genome) for genome in genomes])
    attempts.run(ids)
    attempts.run(ids)  # a doorbell that rings twice
    assert sizes == [3]
    assert states(work, ids) == ["running", "succeeded", "succeeded", "succeeded"]
    assert rows(work, ids)[0].worker == "other"


def test_a_member_cancelled_meanwhile_is_dropped_and_the_others_count(
    engine: Engine, work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    def cancel_one(genomes: Sequence[Genome]) -> list[Found]:
        cancel(engine, ids[:1])
        return [measured(genome) for genome in genomes]

    compute(cancel_one)
    attempts.run(ids)
    assert states(work, ids) == ["cancelled", "succeeded", "succeeded", "succeeded"]


def test_a_lost_lease_makes_a_members_result_void(
    engine: Engine, work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    def lose_one(genomes: Sequence[Genome]) -> list[Found]:
        with UnitOfWork(engine) as other:
            other.session.execute(
                update(Evaluation).where(Evaluation.id == ids[0]).values(attempt=Evaluation.attempt + 1, worker="other")
            )
            other.commit()
        return [measured(genome) for genome in genomes]

    compute(lose_one)
    attempts.run(ids)
    assert states(work, ids) == ["running", "succeeded", "succeeded", "succeeded"]


def test_a_doorbell_that_rings_five_times_is_one_attempt(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    sizes = compute(lambda genomes: [measured(genome) for genome in genomes])
    for _ in range(5):
        attempts.run(ids)
    assert sizes == [4]
    assert [row.attempt for row in rows(work, ids)] == [1] * 4


def computed(claims: Sequence[Claim]) -> list[tuple[Claim, Outcome]]:
    return [(claim, Outcome(result={"of": claim.attempt})) for claim in claims]


class Killed(BaseException):
    """In the place of a kill: nothing handles it."""


@pytest.mark.parametrize(
    ("point", "state", "n_attempts"),
    [
        (FaultPoint.CLAIM_BEFORE_COMMIT, "pending", 0),
        (FaultPoint.CLAIM_COMMITTED, "running", 1),
        (FaultPoint.COMPUTED, "running", 1),
        (FaultPoint.RECORD_BEFORE_COMMIT, "running", 1),
        (FaultPoint.RECORD_COMMITTED, "succeeded", 1),
    ],
)
def test_a_process_that_dies_at_a_point_has_made_one_attempt_or_none(
    engine: Engine,
    work: UnitOfWork,
    settings: Settings,
    ids: list[uuid.UUID],
    point: FaultPoint,
    state: str,
    n_attempts: int,
) -> None:
    def die(reached: FaultPoint) -> None:
        if reached is point:
            raise Killed

    with pytest.raises(Killed):
        Attempts(engine, settings, worker="w", compute=computed, reach=die).run(ids)
    assert [(row.state, row.attempt) for row in rows(work, ids)] == [(state, n_attempts)] * 4


#: Errors that pass: disk full, out of memory, too many connections; shut down by an administrator, by a crash, not up
#: yet; a lock not had in time, a serialisation failure, a deadlock; a connection lost.
TRANSIENT = ("53100", "53200", "53300", "57P01", "57P02", "57P03", "55P03", "40001", "40P01", "08006")


@pytest.mark.parametrize("point", [FaultPoint.CLAIM_BEFORE_COMMIT, FaultPoint.RECORD_BEFORE_COMMIT])
def test_claims_and_outcomes_wait_for_a_database_that_is_full_restarting_or_busy(
    engine: Engine, work: UnitOfWork, settings: Settings, ids: list[uuid.UUID], point: FaultPoint
) -> None:
    errors, pauses = list(TRANSIENT), []

    def meet_error(reached: FaultPoint) -> None:
        if reached is point and errors:
            with engine.connect() as connection:
                raised = f"DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{errors.pop()}'; END $$"
                connection.exec_driver_sql(raised)

    attempts = Attempts(engine, settings, worker="w", compute=computed, reach=meet_error, pause=pauses.append)
    attempts.run(ids)
    assert len(pauses) == len(TRANSIENT)
    assert [(row.state, row.attempt) for row in rows(work, ids)] == [("succeeded", 1)] * 4


def test_a_disk_that_fills_while_it_computes_costs_no_outcome(
    engine: Engine, work: UnitOfWork, settings: Settings, ids: list[uuid.UUID], tmp_path: Path
) -> None:
    class Full(Board):
        def show(self, attempts: Sequence[Token], *, is_computing: bool, n_shares: int) -> None:
            if not is_computing:
                raise OSError(errno.ENOSPC, "no space left")
            super().show(attempts, is_computing=is_computing, n_shares=n_shares)

    board = Full(tmp_path)
    Attempts(engine, settings, worker="w", board=board, compute=computed).run(ids)
    assert [(row.state, row.attempt) for row in rows(work, ids)] == [("succeeded", 1)] * 4
    assert board.read() == []


def test_an_outcome_that_was_committed_unheard_counts_once(
    engine: Engine, work: UnitOfWork, settings: Settings, ids: list[uuid.UUID]
) -> None:
    lost = [OperationalError("COMMIT", {}, Exception("the connection was cut"))]

    def cut(reached: FaultPoint) -> None:
        if reached is FaultPoint.RECORD_COMMITTED and lost:
            raise lost.pop()

    Attempts(engine, settings, worker="w", compute=computed, reach=cut, pause=lambda _: None).run(ids)
    assert [(row.state, row.attempt) for row in rows(work, ids)] == [("succeeded", 1)] * 4


def test_an_error_whose_text_no_column_takes_is_recorded_all_the_same(
    work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    compute(lambda genomes: [ValueError("a NUL \0 and half a pair \ud800") for _ in genomes])
    attempts.run(ids)
    assert states(work, ids) == ["failed"] * 4
    assert (rows(work, ids)[0].error or {})["message"] == "a NUL \ufffd and half a pair ?"


def test_a_worker_that_has_left_is_granted_no_claim_until_its_name_starts_again(
    work: UnitOfWork, engine: Engine, settings: Settings, ids: list[uuid.UUID]
) -> None:
    attempts = Attempts(engine, settings, worker="w", compute=computed)
    for is_there in (False, True):
        with work:
            work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={})
            if not is_there:
                work.workers.stop("w")
            work.commit()
        attempts.run(ids)
        assert states(work, ids) == ["succeeded" if is_there else "pending"] * 4


def test_a_worker_that_leaves_waits_for_a_claim_under_way_and_gives_it_back(
    work: UnitOfWork, engine: Engine, ids: list[uuid.UUID]
) -> None:
    with work:
        work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={})
        work.commit()
    with UnitOfWork(engine) as claiming:
        assert len(claiming.evaluations.claim(ids, worker="w", lease_s=60)) == 4
        with ThreadPoolExecutor(1) as other:
            left = other.submit(leave, engine)
            wait_until(lambda: n_waiting_for_locks(engine) == 1, "the worker that leaves to wait")
            claiming.commit()
            assert left.result() == 4
    assert states(work, ids) == ["pending"] * 4
    assert {(row.crash_count, row.lost_count) for row in rows(work, ids)} == {(0, 0)}


def leave(engine: Engine) -> int:
    with UnitOfWork(engine) as work:
        work.workers.stop("w")
        n_released = work.evaluations.release("w")
        work.commit()
    return n_released


def n_waiting_for_locks(engine: Engine) -> int:
    with engine.connect() as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return int(connection.exec_driver_sql(waiting).scalar_one())


@pytest.mark.parametrize("value", [math.nan, -math.inf, np.zeros(3), np.zeros((1, 1)), "0.5", None])
def test_a_metric_that_comes_out_as_no_number_is_a_failed_evaluation_and_the_front_is_clean(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    def gates(subject: Any) -> Measurement:
        layers = subject.architecture.genome.layers
        return Measurement("gates", value if layers == 1 else layers, None)

    monkeypatch.setitem(MEASURES, "gates", gates)
    grid = {"objectives": [{"metric": "gates"}], "algorithm": {"name": "grid", "population": 4}, "training": {}}
    search = submit(engine, **grid, space={"qubits": 2, "layers": [1, 2, 3, 4]})
    advance_all(engine)
    Attempts(engine, settings, worker="w").run([one.id for one in pending(engine)])
    advance_all(engine)
    search = reload(engine, search)
    assert (search.state, search.n_settled, search.n_failed, search.n_front) == ("finished", 4, 1, 1)
    (best,) = [one for one in candidates(engine, search) if one.on_front]
    assert (best.genome["layers"], best.objectives) == (2, [2.0])
