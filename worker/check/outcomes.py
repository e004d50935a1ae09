"""Whether rows keep what was measured for them, once and unchanged (I3)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from models import Candidate, Stage
from models.audit import Source, StagesOfOne
from models.states import CandidateState, EvaluationState, StageState
from nas.algorithms import objectives_of, violation_of
from nas.spec import SearchSpec
from worker.check.findings import Findings

#: Without these, a measurement says nothing; what else a row keeps differs between versions.
_NEEDED = ("value", "std_error")


def check_outcome(candidate: Candidate, source: Source, stages: StagesOfOne, findings: Findings) -> None:
    """Holds a candidate and its stages to the evaluations that they were told from."""
    search_id, place = candidate.search_id, f"{candidate.generation}.{candidate.index}"
    for stage, of_stage in stages:
        name = f"stage {stage.number} of candidate {place}"
        if stage.state in (StageState.PASSED, StageState.STOPPED):
            _check_measured(name, stage.metrics, of_stage, findings, search_id, candidate.id)
        elif stage.state == StageState.FAILED:
            _check_failed(name, stage, of_stage, findings, search_id)
    if candidate.state == CandidateState.EVALUATED:
        _check_measured(f"candidate {place}", candidate.metrics, source, findings, search_id, candidate.id)
    elif candidate.state == CandidateState.FAILED:
        _check_failed(f"candidate {place}", candidate, source, findings, search_id)
    elif candidate.state == CandidateState.STOPPED:
        known = {name: value for stage, _ in stages for name, value in (stage.metrics or {}).items()}
        if candidate.metrics != known:
            claim = "candidate {place} was stopped, and does not keep what its stages measured"
            findings.violation("I3", claim, search_id, candidate.id, place=place)


def check_objectives(candidate: Candidate, spec: SearchSpec, findings: Findings) -> bool:
    """Holds the objectives and the violation of an evaluated candidate to its metrics; returns whether they are so."""
    place, ids = f"{candidate.generation}.{candidate.index}", (candidate.search_id, candidate.id)
    try:
        values = {name: float(measured["value"]) for name, measured in (candidate.metrics or {}).items()}
        objectives, violation = objectives_of(spec, values), violation_of(spec, values)
    except (KeyError, TypeError, ValueError) as problem:
        claim = "candidate {place} lacks a metric of its search: {problem}"
        findings.violation("I3", claim, *ids, place=place, problem=problem)
        return False
    if candidate.objectives != objectives:
        claim = "candidate {place} has the objectives {found}, and its metrics are {expected}"
        findings.violation("I3", claim, *ids, place=place, found=candidate.objectives, expected=objectives)
    elif candidate.violation != violation:
        claim = "candidate {place} has a constraint violation of {found}, and its metrics one of {expected}"
        findings.violation("I3", claim, *ids, place=place, found=candidate.violation, expected=violation)
    else:
        return True
    return False


def _check_measured(what: str, kept: Mapping[str, Any] | None, source: Source, findings: Findings, *ids: UUID) -> None:
    if source.state != EvaluationState.SUCCEEDED or source.result is None:
        claim = "{what} was told a result, and its evaluation is {state}"
        findings.violation("I3", claim, *ids, source.id, what=what, state=source.state)
    elif (difference := _difference(kept or {}, source.result)) is not None:
        claim = "{what} does not keep what its evaluation measured: {difference}"
        findings.violation("I3", claim, *ids, source.id, what=what, difference=difference)


def _difference(kept: Mapping[str, Any], measured: Mapping[str, Any]) -> str | None:
    """Returns the first metric that differs, in words; None if all that a row keeps is as it was measured."""
    if set(kept) != set(measured):
        return f"metrics {', '.join(sorted(set(kept) ^ set(measured)))} stand in one of both alone"
    for name, of_row in kept.items():
        for key in (*_NEEDED, *of_row):
            ours, theirs = of_row.get(key), measured[name].get(key)
            if ours != theirs or (key in _NEEDED and ours is None):
                return f"{name} has {key} {ours} here and {theirs} there"
    return None


def _check_failed(what: str, row: Candidate | Stage, source: Source, findings: Findings, search_id: UUID) -> None:
    ids = (search_id, row.id if isinstance(row, Candidate) else row.candidate_id)
    if row.error is None:
        findings.violation("I3", "{what} has failed without an error that says why", *ids, what=what)
    # Another search may have asked for a failed evaluation again since: then its outcome is later than the row's.
    elif source.finished_at is None or row.settled_at is None or source.finished_at > row.settled_at:
        return
    elif source.state == EvaluationState.SUCCEEDED:
        claim = "{what} was told a failure, and its evaluation had succeeded"
        findings.violation("I3", claim, *ids, source.id, what=what)
    elif source.state == EvaluationState.FAILED and any(
        row.error.get(key) != (source.error or {}).get(key) for key in ("class", "message")
    ):
        findings.violation("I3", "{what} was told another error than its evaluation has", *ids, source.id, what=what)
