"""A candidate's early stages: what it waits for first, and whether it goes on.

    propose ──▶ stage 0 ──told──▶ stage 1 ──told──▶ … ──told──▶ the full evaluation ──▶ settled as without stages
                   └── stopped, or failed

All that a verdict needs is in the rows: the candidate's stages, and the front of the moment at which its generation was
proposed, with the stages of its members. So a step that is repeated, by whichever controller, gives the same verdict.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Row

from models import Candidate, Evaluation, Search, Stage, UnitOfWork
from models.stages import Opened
from models.states import EvaluationState, StageState
from nas.algorithms import Rival, Stop, judge
from nas.space import Genome
from nas.spec import Protocol, SearchSpec
from nas.spec.confirmation import ConfirmationProtocol
from nas.spec.fidelity import StagePlan, stage_plans

log = structlog.get_logger()

#: What the rows of candidates and stages keep of a measurement; the rest stays with the evaluation.
_SHOWN: Final = ("value", "std_error", "unit", "version")


def shown(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Returns the metrics of a succeeded evaluation as rows keep them."""
    metrics: dict[str, dict[str, Any]] = (evaluation.result or {})["metrics"]
    return {name: _shown_of(measured) for name, measured in metrics.items()}


def _shown_of(measured: dict[str, Any]) -> dict[str, Any]:
    # With its replicates, so that an analysis of a whole search reads them without asking for each candidate.
    replicates = measured.get("per_replicate", [])
    return {key: measured[key] for key in _SHOWN} | ({"per_replicate": replicates} if len(replicates) > 1 else {})


def shown_error(evaluation: Evaluation) -> dict[str, Any]:
    """Returns why an evaluation failed as rows keep it."""
    return {key: (evaluation.error or {}).get(key) for key in ("class", "message")}


def engine_of(search: Search, genome: Genome) -> Any:
    """Returns the engine that was chosen for the genome's qubit count; None where the spec names it."""
    # A search that began under a version without `auto` has no engines in its row, and names one in its spec.
    return (search.engines or {}).get(str(genome.qubits))


def want(
    work: UnitOfWork, search: Search, spec: SearchSpec, genome: Genome, protocol: Protocol | ConfirmationProtocol
) -> tuple[uuid.UUID, bool]:
    """Returns the evaluation of a genome under a protocol, and whether its result is there already."""
    return work.evaluations.want(
        search,
        genome=genome.to_json(),
        genome_digest=genome.digest,
        protocol=protocol.to_json(),
        protocol_digest=protocol.digest,
        device=spec.device,
        engine=protocol.engine,
        qubits=genome.qubits,
        priority=spec.priority,
    )


def open_first_stages(
    work: UnitOfWork, search: Search, spec: SearchSpec, candidates: Sequence[Mapping[str, Any]]
) -> None:
    """Records what proposed candidates wait for, and the front against which their early stages will be judged.

    Args:
        work: in whose transaction the candidates were proposed.
        search: the locked search.
        spec: its spec; without stages, nothing happens.
        candidates: their values of `id`, `genome`, `evaluation_id` and `has_result`.
    """
    if spec.training.stages is None:
        return
    work.candidates.set_rivals(search.id)
    opened = []
    for row in candidates:
        genome = Genome.from_json(row["genome"])
        first = stage_plans(spec, engine=engine_of(search, genome))[0]
        opened.append(Opened(row["id"], 0, row["evaluation_id"], first.kind, first.epochs, row["has_result"]))
    work.stages.open(search.id, opened)


@dataclass(frozen=True, slots=True)
class Onward:
    """A candidate that goes on to its next stage."""

    candidate_id: uuid.UUID
    genome: Genome
    number: int
    plan: StagePlan


def tell_stages(
    work: UnitOfWork, search: Search, spec: SearchSpec, settled: Sequence[Row[Candidate, Evaluation]]
) -> tuple[list[tuple[Candidate, Evaluation]], list[Onward]]:
    """Tells stages their results; returns the candidates that these settle as without stages, and those that go on.

    The others were stopped.
    """
    pairs = [(candidate, evaluation) for candidate, evaluation in settled]
    if spec.training.stages is None or not pairs:
        return pairs, []
    stages = _Stages(work, search, spec, [candidate for candidate, _ in pairs])
    done = [(candidate, evaluation) for candidate, evaluation in pairs if stages.tell(candidate, evaluation)]
    return done, stages.onward


def open_next_stages(work: UnitOfWork, search: Search, spec: SearchSpec, onward: Sequence[Onward]) -> None:
    """Lets candidates wait for their next stages. It locks evaluations that others may share: compute before it."""
    opened = []
    for one in onward:
        evaluation_id, is_cached = want(work, search, spec, one.genome, one.plan.protocol)
        work.candidates.go_on(one.candidate_id, evaluation_id)
        opened.append(Opened(one.candidate_id, one.number, evaluation_id, one.plan.kind, one.plan.epochs, is_cached))
    work.stages.open(search.id, opened)
    if opened:
        # Wakes the dispatcher; a result that is there already is told in the next step.
        work.ring()


class _Stages:
    """The stages of candidates that have news, and the rivals of their generation."""

    def __init__(self, work: UnitOfWork, search: Search, spec: SearchSpec, candidates: Sequence[Candidate]) -> None:
        self._work = work
        self._search = search
        self._spec = spec
        self._rivals = work.candidates.rivals(search.id)
        self._stages = work.stages.of_candidates(one.id for one in [*candidates, *self._rivals])
        self.onward: list[Onward] = []

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> bool:
        """Moves the candidate's stage on, and returns whether that settles the candidate as its evaluation says."""
        *earlier, stage = self._stages[candidate.id]
        genome = Genome.from_json(candidate.genome)
        plans = stage_plans(self._spec, engine=engine_of(self._search, genome))
        if evaluation.state != EvaluationState.SUCCEEDED:
            self._work.stages.settle(stage, StageState.FAILED, error=shown_error(evaluation))
            return self._end(candidate)
        metrics = shown(evaluation)
        if stage.number == len(plans) - 1:
            self._work.stages.settle(stage, StageState.PASSED, metrics=metrics)
            return self._end(candidate)
        known = {name: measured for one in earlier for name, measured in (one.metrics or {}).items()} | metrics
        stop = judge(self._spec, known, self._rivals_at(stage.number))
        if stop is None:
            self._work.stages.settle(stage, StageState.PASSED, metrics=metrics)
            number = stage.number + 1
            self.onward.append(Onward(candidate.id, genome, number, plans[number]))
        else:
            self._work.stages.settle(stage, StageState.STOPPED, metrics=metrics)
            self._stop(candidate, stage, stop, known)
        return False

    def _stop(self, candidate: Candidate, stage: Stage, stop: Stop, known: dict[str, dict[str, Any]]) -> None:
        stopped = {
            "stage": stage.number,
            "epochs": stage.epochs,
            "reason": stop.reason,
            "by": None if stop.by is None else list(stop.by),
            "clearance": stop.clearance,
        }
        self._work.candidates.stop(self._search, candidate.id, stopped=stopped, violation=stop.violation, metrics=known)
        log.info("candidate_stopped", search_id=str(self._search.id), candidate_id=str(candidate.id), **stopped)
        self._end(candidate)

    def _end(self, candidate: Candidate) -> bool:
        if all(stage.is_cached for stage in self._stages[candidate.id]):
            self._work.candidates.mark_cached(self._search, candidate.id)
        return True

    def _rivals_at(self, number: int) -> list[Rival]:
        return [
            Rival((one.generation, one.index), one.metrics or {}, self._stages[one.id][number].metrics or {})
            for one in self._rivals
        ]
