"""For operators: health, readiness, and the workers that live."""

from importlib.metadata import version

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import SharedState, State, Work
from api.documents import HealthDocument, Page, ReadinessDocument, WorkerDocument
from models import UnitOfWork
from models.migrate import is_current

router = APIRouter(tags=["operations"])


@router.get("/health")
def get_health() -> HealthDocument:
    """Say that the process answers; it asks nothing of the database."""
    return HealthDocument(status="ok", version=version("hqnas"))


@router.get("/ready", responses={503: {"model": ReadinessDocument, "description": "requests cannot be served"}})
def get_readiness(response: Response, state: SharedState) -> ReadinessDocument:
    """Say whether requests can be served, and whether any worker would do the work."""
    readiness = _readiness(state)
    if readiness.status == "unavailable":
        response.status_code = 503
    return readiness


@router.get("/v1/workers")
def list_workers(work: Work, state: SharedState) -> Page[WorkerDocument]:
    """List the live workers with their slots, hardware, versions and calibration."""
    rows = work.workers.live(timeout_s=state.settings.worker_timeout_s)
    items = [
        WorkerDocument(
            name=row.name,
            device=row.device,
            slots=row.n_slots,
            hardware=row.hardware,
            versions=row.versions,
            calibration=row.calibration,
            started_at=row.started_at,
            beat_at=row.beat_at,
        )
        for row in rows
    ]
    return Page(items=items, next_cursor=None)


def _readiness(state: State) -> ReadinessDocument:
    try:
        has_schema = is_current(state.engine)
        slots: dict[str, int] = {}
        if has_schema:
            with UnitOfWork(state.engine) as work:
                slots = work.workers.slots(timeout_s=state.settings.worker_timeout_s)
    except SQLAlchemyError:
        return ReadinessDocument(status="unavailable", database=False, schema_is_current=False, slots={})
    status = "unavailable" if not has_schema else "ready" if slots else "degraded"
    return ReadinessDocument(status=status, database=True, schema_is_current=has_schema, slots=slots)
