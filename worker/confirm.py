"""One step of a confirmation, in one transaction on its locked row. A repeated step finds nothing left to do.

begin    each member gets an evaluation, under a protocol that only confirmations have
tell     results of evaluations → members
report   once no member waits: means, tests and sentences, computed from all of them together
"""

from typing import Any

import structlog

from models import Confirmation, Evaluation, Search, UnitOfWork
from models.database import PATIENT_S
from models.states import ConfirmationState, EvaluationState
from nas.confirmation.report import report
from nas.space import Genome
from nas.spec import InvalidSpec, SearchSpec, parse_spec
from nas.spec.confirmation import ConfirmationProtocol
from worker.stages import engine_of, shown_error, want

log = structlog.get_logger()


def advance_confirmation(work: UnitOfWork, confirmation: Confirmation, search: Search) -> None:
    """Takes a locked, open confirmation as far as what is known allows. The caller commits."""
    if confirmation.state == ConfirmationState.QUEUED:
        try:
            spec = parse_spec(search.spec)
        except InvalidSpec as problem:
            reason = f"this version of hqnas cannot read the spec of its search: {problem}"
            return end_confirmation(work, confirmation, ConfirmationState.FAILED, reason)
        _begin(work, confirmation, search, spec)
    for member, evaluation in work.confirmations.untold(confirmation.id):
        work.confirmations.tell(confirmation, member.index, result=evaluation.result, error=_error(evaluation))
    work.confirmations.touch(confirmation)
    if confirmation.n_settled == confirmation.n_members:
        _complete(work, confirmation)
    return None


def end_confirmation(
    work: UnitOfWork,
    confirmation: Confirmation,
    state: ConfirmationState,
    reason: str,
    *,
    report: dict[str, Any] | None = None,
) -> None:
    """Moves a locked, open confirmation to a final state; what nothing else waits for is not computed any more."""
    work.confirmations.end(confirmation, state, reason, report=report)
    work.evaluations.cancel_unconfirmed(confirmation.id)
    log.info("confirmation_ended", confirmation_id=str(confirmation.id), state=str(state), reason=reason)


def _begin(work: UnitOfWork, confirmation: Confirmation, search: Search, spec: SearchSpec) -> None:
    evaluations = []
    for _, candidate in work.confirmations.members(confirmation.id):
        genome = Genome.from_json(candidate.genome)
        engine: Any = engine_of(search, genome) or spec.engine
        protocol = ConfirmationProtocol.from_spec(
            spec, seeds=confirmation.n_seeds, epochs=confirmation.epochs, engine=engine
        )
        evaluation_id, _ = want(work, search, spec, genome, protocol)
        evaluations.append(evaluation_id)
    work.confirmations.begin(confirmation, evaluations)
    log.info(
        "confirmation_started",
        confirmation_id=str(confirmation.id),
        search_id=str(search.id),
        number=confirmation.number,
        n_members=confirmation.n_members,
    )
    # Results that were there before are told in the next step, which follows at once.
    work.ring()


def _error(evaluation: Evaluation) -> dict[str, Any] | None:
    return shown_error(evaluation) if evaluation.state == EvaluationState.FAILED else None


def _complete(work: UnitOfWork, confirmation: Confirmation) -> None:
    members = [member for member, _ in work.confirmations.members(confirmation.id)]
    if confirmation.n_failed == confirmation.n_members:
        errors = [member.error for member in members if member.error]
        reason = f"none of its {len(members)} members could be measured; the last said: {errors[-1].get('message')}"
        return end_confirmation(work, confirmation, ConfirmationState.FAILED, reason)
    reason = "all of its members are measured"
    if confirmation.n_failed:
        reason = f"{confirmation.n_failed} of its {len(members)} members could not be measured"
    work.allow_idle(PATIENT_S)
    found = report([member.result for member in members])
    return end_confirmation(work, confirmation, ConfirmationState.FINISHED, reason, report=found)
