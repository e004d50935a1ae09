"""The declarative base: names of constraints, aware times, UUIDv7 keys."""

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

import uuid_utils.compat
from sqlalchemy import DateTime, Function, Interval, MetaData, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base of all tables. Constraint names follow one rule, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        uuid.UUID: Uuid(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
    }


def new_id() -> uuid.UUID:
    """Returns a UUIDv7: unique, and ordered by the time of its making."""
    return uuid_utils.compat.uuid7()


def interval(seconds: float) -> Function[timedelta]:
    """Returns a duration as PostgreSQL has it."""
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval())
