"""A doorbell with several evaluations: claimed together, and each member with a fate of its own."""

import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from config.settings import Settings
from models import UnitOfWork
from models.states import EvaluationState
from models.tables import DEFAULT_TEAM_ID, Evaluation, Search
from nas.evaluation import Evaluation as Measured
from nas.metrics.measurement import Measurement
from nas.space import Genome, SearchSpace
from nas.spec import Protocol, parse_spec
from worker import outcomes
from worker.attempt import Attempts

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
    return Attempts(engine, settings.model_copy(update={"renew_s": 0.05}), worker="w")


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
        before = leases(engine)
        while leases(engine) == before:  # the others' are renewed
            time.sleep(0.01)
        return [measured(genome) for genome in genomes]

    compute(cancel_one)
    attempts.run(ids)
    assert states(work, ids) == ["cancelled", "succeeded", "succeeded", "succeeded"]


def leases(engine: Engine) -> list[Any]:
    with UnitOfWork(engine) as work:
        return list(work.session.scalars(select(Evaluation.lease_expires_at).order_by(Evaluation.id)))


def test_a_bundle_of_which_all_members_are_cancelled_is_abandoned(
    engine: Engine, work: UnitOfWork, attempts: Attempts, compute: Compute, ids: list[uuid.UUID]
) -> None:
    def never_end(_: Sequence[Genome]) -> list[Found]:
        cancel(engine, ids)
        while True:
            time.sleep(0.01)

    compute(never_end)
    attempts.run(ids)
    assert states(work, ids) == ["cancelled"] * 4


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
