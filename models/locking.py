"""Changes of several evaluations in one statement, which locks their rows in one order first."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, ColumnElement, Update, select, update

from models.tables import Evaluation


def changing(*conditions: ColumnElement[bool], values: Mapping[str, Any]) -> Update:
    """Returns the statement that changes the rows for which the conditions hold once they are locked."""
    locked = locked_by_id(*conditions)
    return update(Evaluation).where(Evaluation.id.in_(select(locked.c.id)), *conditions).values(values)


def locked_by_id(*conditions: ColumnElement[bool]) -> CTE:
    """Returns the ids of rows, locked in the order of ids: two statements that meet cannot wait for each other."""
    return select(Evaluation.id).where(*conditions).order_by(Evaluation.id).with_for_update().cte("locked")
