"""Workers: who evaluates, with how many slots, and who was heard of lately."""

from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import interval
from models.tables import Worker


class Workers:
    """The registered workers, by name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(
        self,
        name: str,
        *,
        device: str,
        n_slots: int,
        hardware: dict[str, Any],
        versions: dict[str, Any],
        calibration: dict[str, Any] | None = None,
    ) -> None:
        """Adds a worker, or brings its row up to date when the name starts again."""
        now = {"started_at": func.now(), "beat_at": func.now(), "stopped_at": None}
        about = {"hardware": hardware, "versions": versions, "calibration": calibration}
        values = {"device": device, "n_slots": n_slots, **about, **now}
        statement = insert(Worker).values(name=name, **values)
        self._session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    def beat(self, name: str) -> None:
        """Says that the worker lives."""
        self._session.execute(update(Worker).where(Worker.name == name).values(beat_at=func.now(), stopped_at=None))

    def stop(self, name: str) -> None:
        """Takes the worker's slots out of the count at once."""
        self._session.execute(update(Worker).where(Worker.name == name).values(stopped_at=func.now()))

    def slots(self, *, timeout_s: float) -> dict[str, int]:
        """Returns the slots of live workers by device class."""
        statement = select(Worker.device, func.sum(Worker.n_slots)).where(is_live(timeout_s)).group_by(Worker.device)
        return {device: int(n) for device, n in self._session.execute(statement)}

    def live(self, *, timeout_s: float) -> list[Worker]:
        """Returns the live workers by name."""
        return list(self._session.scalars(select(Worker).where(is_live(timeout_s)).order_by(Worker.name)))


def is_live(timeout_s: float) -> ColumnElement[bool]:
    """Returns the condition under which a worker was heard of lately, by the database's clock."""
    since = func.now() - interval(timeout_s)
    return Worker.stopped_at.is_(None) & (Worker.beat_at > since)
