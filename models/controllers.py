"""Controllers: who advances searches, who was heard of lately, and whether they reach the broker."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import interval
from models.tables import Controller

#: A row that no controller has touched for so long is of one that was killed.
_FORGOTTEN_S = 24 * 3600.0


class Controllers:
    """The live controllers, by name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def beat(self, name: str, *, broker_error: str | None) -> None:
        """Says that the controller lives, and why it does not reach the broker; makes its row if there is none."""
        is_lost = broker_error is not None
        statement = insert(Controller).values(
            name=name, broker_error=broker_error, broker_lost_at=func.now() if is_lost else None
        )
        since = func.coalesce(Controller.broker_lost_at, func.now()) if is_lost else None
        values = {"beat_at": func.now(), "broker_error": broker_error, "broker_lost_at": since}
        self._session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    def leave(self, name: str) -> None:
        """Takes the row away, and those of controllers that were killed long ago."""
        forgotten = Controller.beat_at < _before(_FORGOTTEN_S)
        self._session.execute(delete(Controller).where((Controller.name == name) | forgotten))

    def live(self, *, timeout_s: float) -> list[Controller]:
        """Returns the controllers that were heard of lately, by the database's clock, by name."""
        statement = select(Controller).where(Controller.beat_at > _before(timeout_s)).order_by(Controller.name)
        return list(self._session.scalars(statement))


def _before(seconds: float) -> ColumnElement[datetime]:
    return func.now() - interval(seconds)
