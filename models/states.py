"""The states of searches, candidates, their stages, evaluations and confirmations, and the only moves between them.

Repositories move rows by conditional UPDATEs that name the states they may leave, taken from the sets here.
"""

from enum import StrEnum


class SearchState(StrEnum):
    """Life of a search.

    queued ──▶ running ──▶ finished
       │          ├──────▶ failed
       └──────────┴──────▶ cancelled
    """

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CandidateState(StrEnum):
    """Life of a candidate, and of a member of a confirmation. With stages it waits for one evaluation after the other.

    waiting ──▶ evaluated    its last evaluation succeeded
       ├──────▶ stopped      an early stage showed that it cannot reach the front; the rest was not computed
       ├──────▶ failed       an evaluation failed: infeasible, never a made-up number
       └──────▶ cancelled    its search ended first
    """

    WAITING = "waiting"
    EVALUATED = "evaluated"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StageState(StrEnum):
    """Life of a stage: one evaluation of a candidate, of several. A candidate waits for at most one at a time.

    waiting ──▶ passed       told; the next stage begins, or this was the last
       ├──────▶ stopped      told; the candidate goes no further
       ├──────▶ failed       its evaluation failed; with it the candidate, unless it had been evaluated before
       └──────▶ cancelled    its search ended first
    """

    WAITING = "waiting"
    PASSED = "passed"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EvaluationState(StrEnum):
    """Life of an evaluation. `attempt` grows at each claim and fences every later write.

                        ┌────────── sweep: doorbell lost ──────────┐
                        ▼                                          │
        new ──▶     pending ──▶ dispatched ──▶ running ──▶ succeeded
                      ▲ ▲                        │ │
                      │ └── lease lost, crash ───┘ └─────▶ failed
                      └──── a new search asks for a failed or cancelled one

    Cancelled, from any open state, when no open search needs it.
    """

    PENDING = "pending"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ConfirmationState(StrEnum):
    """Life of a confirmation. It fails when none of its members could be measured.

    queued ──▶ running ──▶ finished
       │          ├──────▶ failed
       └──────────┴──────▶ cancelled
    """

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


SEARCH_OPEN = (SearchState.QUEUED, SearchState.RUNNING)
CONFIRMATION_OPEN = (ConfirmationState.QUEUED, ConfirmationState.RUNNING)
EVALUATION_CLAIMABLE = (EvaluationState.PENDING, EvaluationState.DISPATCHED)
EVALUATION_OPEN = (EvaluationState.PENDING, EvaluationState.DISPATCHED, EvaluationState.RUNNING)
EVALUATION_SETTLED = (EvaluationState.SUCCEEDED, EvaluationState.FAILED)
EVALUATION_IN_FLIGHT = (EvaluationState.DISPATCHED, EvaluationState.RUNNING)
