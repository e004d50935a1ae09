"""What is left lying (I7): leases, doorbells and searches that a controller should have seen to."""

from uuid import UUID

from config.settings import Settings
from models import UnitOfWork
from models.states import EvaluationState
from worker.check.findings import Findings


def check_standstill(
    work: UnitOfWork,
    settings: Settings,
    search_id: UUID | None,
    findings: Findings,
    *,
    grace_s: float,
    served_s: float,
) -> None:
    """Names what is late by more than the grace; where no controller has been there for that long, says so instead."""
    if served_s > grace_s:
        _check_evaluations(work, settings, search_id, findings, grace_s=grace_s)
        for one in work.searches.stalled(search_id, worker_timeout_s=settings.worker_timeout_s, grace_s=grace_s):
            claim = "a search could move, and no controller has taken it for more than {grace:.0f} s"
            findings.violation("I7", claim, one, grace=grace_s)
        for confirmation_id, of_search in work.confirmations.stalled(search_id, grace_s=grace_s):
            claim = "a confirmation could move, and no controller has taken it for more than {grace:.0f} s"
            findings.violation("I7", claim, of_search, confirmation_id, grace=grace_s)
    elif n_open := work.arrears.count_open(search_id):
        what = _count(n_open, "search or confirmation that has", "searches and confirmations that have")
        if served_s == 0:
            findings.note(
                f"no controller is connected to this database: {what} not ended will not move, and what is late is not "
                "held against it; start one with `hqnas controller`"
            )
        else:
            findings.note(
                f"a controller has been connected to this database for {served_s:.0f} s only: what is late is not held "
                f"against it before {grace_s:.0f} s; check again then"
            )
    _note_queues(work, settings, findings)


def _check_evaluations(
    work: UnitOfWork, settings: Settings, search_id: UUID | None, findings: Findings, *, grace_s: float
) -> None:
    for row in work.arrears.overdue(search_id, grace_s=grace_s):
        claim = "an evaluation still runs on {worker}, {seconds:.0f} s after its lease ended: nobody put it back"
        findings.violation("I7", claim, row.id, worker=row.worker, seconds=row.seconds)
    in_flight = work.queue.count_in_flight()
    for device, n_slots in work.workers.slots(timeout_s=settings.worker_timeout_s).items():
        # While every slot is busy, a doorbell that waits is not lost.
        if in_flight[device, EvaluationState.RUNNING] >= n_slots:
            continue
        for row in work.arrears.unclaimed(
            search_id,
            device=device,
            worker_timeout_s=settings.worker_timeout_s,
            after_s=settings.rering_s + grace_s,
        ):
            claim = (
                "an evaluation was dispatched, and for {seconds:.0f} s no worker has claimed it, nor was it sent again"
            )
            findings.violation("I7", claim, row.id, seconds=row.seconds)
    for row in work.arrears.given_up(search_id, grace_s=grace_s):
        claim = "an evaluation was cancelled {seconds:.0f} s ago although something waits for it"
        findings.violation("I7", claim, row.id, seconds=row.seconds)
    for row in work.arrears.unwanted(search_id, grace_s=grace_s):
        claim = "an evaluation is open although nothing has waited for it for {seconds:.0f} s"
        findings.violation("I7", claim, row.id, seconds=row.seconds)


def _note_queues(work: UnitOfWork, settings: Settings, findings: Findings) -> None:
    for row in work.arrears.queues(worker_timeout_s=settings.worker_timeout_s):
        if not row.n_slots:
            waiting = _count(row.n_pending + row.n_in_flight, "evaluation waits", "evaluations wait")
            findings.note(
                f"{waiting} for a worker with device {row.device}, and none was heard of in the last "
                f"{settings.worker_timeout_s:.0f} s; start one with `hqnas worker --device {row.device}`"
            )
        elif row.n_pending and not row.n_in_flight:
            pending = _count(row.n_pending, "evaluation is", "evaluations are")
            slots = _count(row.n_slots, "slot", "slots")
            findings.note(
                f"{pending} pending and none on its way, though workers with device {row.device} have {slots}: if it "
                "stays so, the broker does not answer"
            )


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
