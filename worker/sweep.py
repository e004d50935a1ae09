"""What was forgotten is put back: lost leases, unanswered doorbells, evaluations that were given up too soon."""

import structlog
from sqlalchemy import Engine

from config.settings import Settings
from models import UnitOfWork
from models.states import EvaluationState
from worker.fault_points import FaultPoint, Reach, unharmed

log = structlog.get_logger()


def sweep(engine: Engine, settings: Settings, *, reach: Reach = unharmed) -> int:
    """Puts back what no process works on any more, and returns how many evaluations that were."""
    with UnitOfWork(engine) as work:
        if not work.try_lock("sweep"):
            return 0
        n_lost = work.evaluations.sweep_lost(limit=settings.lost_limit)
        in_flight = work.queue.count_in_flight()
        n_unclaimed = 0
        for device, n_slots in work.workers.slots(timeout_s=settings.worker_timeout_s).items():
            # While every slot is busy, a doorbell that waits is not lost.
            if in_flight[device, EvaluationState.RUNNING] < n_slots:
                n_unclaimed += work.evaluations.sweep_unclaimed(device, after_s=settings.rering_s)
        n_revived = work.evaluations.revive_wanted()
        n_swept = n_lost + n_unclaimed + n_revived
        if n_swept:
            work.ring()
        reach(FaultPoint.SWEEP_BEFORE_COMMIT)
        work.commit()
    reach(FaultPoint.SWEEP_COMMITTED)
    if n_swept:
        log.warning("evaluations_put_back", n_lost=n_lost, n_unclaimed=n_unclaimed, n_revived=n_revived)
    return n_swept
