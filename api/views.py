"""From rows to documents."""

from typing import Any

from api.documents import (
    CandidateDetail,
    CandidateDocument,
    EvaluationDocument,
    FrontDocument,
    ObjectiveDocument,
    ProgressDocument,
    RoundDocument,
    SearchDocument,
    SearchSummary,
    StageDocument,
    StopDocument,
)
from models import Candidate, Evaluation, Search, Stage
from models.states import SEARCH_OPEN, SearchState
from nas.circuits import Architecture
from nas.circuits.drawing import draw
from nas.circuits.pennylane_source import pennylane_source
from nas.space.genome import Genome
from nas.spec import SearchSpec


def search_summary(search: Search, *, rate: float | None, slots: dict[str, int]) -> SearchSummary:
    """Returns a search without its spec.

    Args:
        search: the row.
        rate: evaluations a second over the last minute, if there were any.
        slots: of live workers, by device class.
    """
    return SearchSummary(**_summary(search, rate, slots))


def search_document(search: Search, *, rate: float | None, slots: dict[str, int]) -> SearchDocument:
    """Returns a search with its spec; the arguments are those of `search_summary`."""
    return SearchDocument(spec=search.spec, **_summary(search, rate, slots))


def front_document(search: Search, candidates: list[Candidate]) -> FrontDocument:
    """Returns the front of a search."""
    spec = SearchSpec.model_validate(search.spec)
    return FrontDocument(
        search_id=search.id,
        revision=search.revision,
        objectives=_objectives(spec),
        hypervolume=search.hypervolume,
        reference_point=search.reference_point,
        items=[candidate_document(candidate, spec) for candidate in candidates],
    )


def candidate_document(candidate: Candidate, spec: SearchSpec) -> CandidateDocument:
    """Returns a candidate as it stands in lists."""
    return CandidateDocument(**_candidate(candidate, spec))


def candidate_detail(
    candidate: Candidate, evaluation: Evaluation, search: Search, stages: list[Stage]
) -> CandidateDetail:
    """Returns a candidate with everything that is known of it."""
    spec = SearchSpec.model_validate(search.spec)
    architecture = Architecture.build(Genome.from_json(candidate.genome), spec)
    # The result of a search that was told is final, though a later search may have the evaluation tried again.
    result: dict[str, Any] = (evaluation.result or {}) if candidate.metrics is not None else {}
    seconds = None
    if evaluation.started_at is not None and evaluation.finished_at is not None:
        seconds = (evaluation.finished_at - evaluation.started_at).total_seconds()
    fields = _candidate(candidate, spec)
    return CandidateDetail(
        # Of a stopped candidate, the stages before its last measured metrics too.
        **{**fields, "metrics": {**fields["metrics"], **result.get("metrics", {})}},
        circuit=architecture.circuit.to_json(),
        drawing=draw(architecture.circuit),
        pennylane=pennylane_source(architecture),
        curves=result.get("curves", []),
        evaluation=EvaluationDocument(
            id=evaluation.id,
            state=evaluation.state,
            attempt=evaluation.attempt,
            engine=result.get("engine"),
            data=result.get("data"),
            training=result.get("training"),
            worker=evaluation.worker,
            seconds=seconds,
            is_cached=candidate.is_cached,
        ),
        stages=[_stage(stage) for stage in stages],
    )


def why_no_weights(candidate: Candidate, evaluation: Evaluation) -> str:
    """Returns the sentence for a candidate whose fitted parameters are not there."""
    which = f"candidate {candidate.generation}.{candidate.index} has no weights: "
    if candidate.metrics is None:
        return which + f"it is {candidate.state}"
    if not candidate.on_front:
        return which + "it is not on the front, and only those of its members are kept"
    if not (evaluation.result or {}).get("curves"):
        return which + "nothing was trained for it"
    return which + (
        "its evaluation is older than hqnas's keeping them, was made for a search whose front it had left, or has more "
        "than 16 MiB of them; a search with another training.seed measures it anew"
    )


def _stage(stage: Stage) -> StageDocument:
    same = ("number", "kind", "epochs", "state", "metrics", "error", "evaluation_id", "is_cached")
    return StageDocument(**{name: getattr(stage, name) for name in same})


def _summary(search: Search, rate: float | None, slots: dict[str, int]) -> dict[str, Any]:
    spec = SearchSpec.model_validate(search.spec)
    is_open = search.state in SEARCH_OPEN
    left = spec.n_planned - search.n_settled
    # What a spec allows is a bound: points of a grid may be one architecture, and a space may be used up.
    is_complete = search.state == SearchState.FINISHED or search.reevaluation is not None
    n_begun = 0 if search.generation is None else search.generation + 1
    progress = ProgressDocument(
        generation=search.generation,
        generations=n_begun if is_complete else spec.n_generations,
        candidates=search.n_candidates,
        evaluated=search.n_settled - search.n_failed - search.n_stopped,
        failed=search.n_failed,
        stopped=search.n_stopped,
        waiting=search.n_candidates - search.n_settled if is_open else 0,
        cached=search.n_cached,
        planned=search.n_candidates if is_complete else spec.n_planned,
        evaluations_per_second=rate,
        # Of a second look at the front nobody knows how many rounds it will take.
        time_left_s=left / rate if rate and is_open and search.reevaluation is None else None,
        hypervolume=search.hypervolume,
        front_size=search.n_front,
    )
    return {
        "id": search.id,
        "name": search.name,
        "state": search.state,
        "reason": None if is_open else search.reason,
        "notice": _notice(search, spec, slots),
        "created_at": search.created_at,
        "started_at": search.started_at,
        "finished_at": search.finished_at,
        "revision": search.revision,
        "objectives": _objectives(spec),
        "progress": progress,
        "reference_point": search.reference_point,
        "engines": search.engines,
        "reevaluation": None if search.reevaluation is None else _rounds(search.reevaluation),
    }


def _rounds(reevaluation: dict[str, Any]) -> list[RoundDocument]:
    return [RoundDocument(**told) for told in reevaluation["rounds"]]


def _notice(search: Search, spec: SearchSpec, slots: dict[str, int]) -> str | None:
    if search.state == SearchState.QUEUED:
        return search.reason  # why the controller could not begin it
    if search.state == SearchState.RUNNING and not slots.get(spec.device):
        return f"no live worker takes {spec.device} work; start one with `hqnas worker --device {spec.device}`"
    if search.state == SearchState.RUNNING and search.reevaluation is not None:
        number = len(search.reevaluation["rounds"]) + 1
        return f"{search.reevaluation['reason']}; its front is being measured again, round {number}"
    return None


def _objectives(spec: SearchSpec) -> list[ObjectiveDocument]:
    return [
        ObjectiveDocument(
            metric=objective.metric,
            goal="maximize" if objective.is_maximized else "minimize",
            unit=objective.info.unit_of(spec.dataset.task),
        )
        for objective in spec.objectives
    ]


def _candidate(candidate: Candidate, spec: SearchSpec) -> dict[str, Any]:
    names = [objective.metric for objective in spec.objectives]
    values = candidate.objectives
    return {
        "id": candidate.id,
        "search_id": candidate.search_id,
        "generation": candidate.generation,
        "index": candidate.index,
        "state": candidate.state,
        "digest": candidate.digest,
        "genome": candidate.genome,
        "objectives": None if values is None else dict(zip(names, values, strict=True)),
        "violation": candidate.violation,
        "metrics": candidate.metrics or {},
        "is_on_front": candidate.on_front,
        "error": candidate.error,
        "stopped": None if candidate.stopped is None else _stop(candidate.stopped),
    }


def _stop(stopped: dict[str, Any]) -> StopDocument:
    by = stopped["by"]
    return StopDocument(**{**stopped, "by": None if by is None else f"{by[0]}.{by[1]}"})
