"""The memory: tables, one transaction at a time, and one repository for each aggregate. All SQL is here."""

from models.database import Bell, connect, disposing, is_of_the_statement, is_transient
from models.tables import (
    DEFAULT_TEAM_ID,
    Candidate,
    Confirmation,
    ConfirmationMember,
    Controller,
    Evaluation,
    Generation,
    Search,
    Stage,
    Worker,
)
from models.unit_of_work import UnitOfWork

__all__ = [
    "DEFAULT_TEAM_ID",
    "Bell",
    "Candidate",
    "Confirmation",
    "ConfirmationMember",
    "Controller",
    "Evaluation",
    "Generation",
    "Search",
    "Stage",
    "UnitOfWork",
    "Worker",
    "connect",
    "disposing",
    "is_of_the_statement",
    "is_transient",
]
