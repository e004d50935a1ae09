"""Whether each evaluation is there once (I1), and has one outcome, that of its last attempt (I2)."""

from uuid import UUID

from models import UnitOfWork
from models.states import EVALUATION_SETTLED, EvaluationState
from worker.check.findings import Findings


def check_attempts(work: UnitOfWork, search_id: UUID | None, findings: Findings) -> None:
    """Holds evaluations to key and fencing: a late write of another attempt leaves one of these traces."""
    for row in work.audit.doubled(search_id):
        claim = "{n} evaluations are of one genome under one protocol of one team"
        findings.violation("I1", claim, *sorted(row.ids), n=len(row.ids))
    for row in work.audit.misattributed(search_id):
        if row.state in EVALUATION_SETTLED:
            if row.attempt == 0:
                findings.violation(
                    "I2", "an evaluation has {state} although nobody claimed it", row.id, state=row.state
                )
            elif row.settled_attempt not in (None, row.attempt):
                claim = "the outcome of an evaluation is of attempt {settled}, and its last attempt was {attempt}"
                findings.violation("I2", claim, row.id, settled=row.settled_attempt, attempt=row.attempt)
        if row.state == EvaluationState.SUCCEEDED and row.has_error:
            findings.violation("I2", "an evaluation has succeeded and has the error of a failure, too", row.id)
        if row.state == EvaluationState.FAILED and not row.has_error:
            findings.violation("I2", "an evaluation has failed without an error that says why", row.id)
        if row.crash_count + row.lost_count > row.attempt:
            claim = "an evaluation was blamed {n} times in {attempt} attempts"
            findings.violation("I2", claim, row.id, n=row.crash_count + row.lost_count, attempt=row.attempt)
