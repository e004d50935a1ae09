"""For operators: health, readiness, and the workers that live."""

from importlib.metadata import version

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import SharedState, State, Work
from api.documents import HealthDocument, Page, ReadinessDocument, WorkerDocument
from api.problems import RETRY_AFTER_S
from models import Controller, UnitOfWork
from models.database import reason_of
from models.migrate import SchemaAge, schema_age

router = APIRouter(tags=["operations"])


@router.get("/health")
async def get_health() -> HealthDocument:
    """Say that the process answers; it asks nothing of the database, and answers while all threads wait for it."""
    return HealthDocument(status="ok", version=version("hqnas"))


@router.get("/ready", responses={503: {"model": ReadinessDocument, "description": "requests cannot be served"}})
def get_readiness(response: Response, state: SharedState) -> ReadinessDocument:
    """Say whether requests can be served, whether a controller and a worker would do the work, and why not."""
    readiness = _readiness(state)
    if readiness.status == "unavailable":
        response.status_code = 503
        response.headers["Retry-After"] = RETRY_AFTER_S
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
    timeout_s = state.settings.worker_timeout_s
    try:
        age = schema_age(state.engine)
        if age not in (SchemaAge.CURRENT, SchemaAge.NEWER):
            problem = "the database has no schema, or an older one than this version; run `hqnas migrate`"
            return ReadinessDocument(status="unavailable", problems=[problem], database=True, schema_is_current=False)
        with UnitOfWork(state.engine) as work:
            slots = work.workers.slots(timeout_s=timeout_s)
            controllers = work.controllers.live(timeout_s=timeout_s)
    except SQLAlchemyError as failure:
        problem = reason_of(failure) or "the database refuses what it is asked"
        return ReadinessDocument(status="unavailable", problems=[problem], database=False, schema_is_current=False)
    problems = _problems(slots, controllers)
    if age == SchemaAge.NEWER:  # migrations only add
        problems.append(
            "the database has the schema of a newer version; requests are served, but upgrade this API soon"
        )
    return ReadinessDocument(
        status="degraded" if problems else "ready",
        problems=problems,
        database=True,
        schema_is_current=age == SchemaAge.CURRENT,
        broker=any(one.broker_error is None for one in controllers) if controllers else None,
        controllers=len(controllers),
        slots=slots,
    )


def _problems(slots: dict[str, int], controllers: list[Controller]) -> list[str]:
    problems = []
    if not slots:
        problems.append("no worker lives: nothing is evaluated; start one with `hqnas worker`")
    if not controllers:
        problems.append("no controller lives: no search moves; start one with `hqnas controller`")
    elif all(one.broker_error is not None for one in controllers):
        lost = min(controllers, key=lambda one: (one.broker_lost_at is None, one.broker_lost_at))
        since = "" if lost.broker_lost_at is None else f" since {lost.broker_lost_at:%Y-%m-%d %H:%M:%S} UTC"
        problems.append(f"no controller reaches the broker{since}: {lost.broker_error}")
    return problems
