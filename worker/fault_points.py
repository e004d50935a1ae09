"""Named points at which a process may die or a connection may break: between the effects that others can see.

Controllers and workers call `reach` there. In production it does nothing; a simulation lets another process take its
turn, or raises, and a driver of the tests kills its own process.
"""

from collections.abc import Callable
from enum import StrEnum


class FaultPoint(StrEnum):
    """Where a controller or a worker may be stopped, in the order in which it gets there."""

    ADVANCE_LOCKED = "advance-locked"
    ADVANCE_BEGUN = "advance-begun"
    ADVANCE_TOLD = "advance-told"
    ADVANCE_SELECTED = "advance-selected"
    ADVANCE_PROPOSED = "advance-proposed"
    ADVANCE_BEFORE_COMMIT = "advance-before-commit"
    ADVANCE_COMMITTED = "advance-committed"
    DISPATCH_BEFORE_COMMIT = "dispatch-before-commit"
    DISPATCH_COMMITTED = "dispatch-committed"
    DISPATCH_RUNG = "dispatch-rung"
    SWEEP_BEFORE_COMMIT = "sweep-before-commit"
    SWEEP_COMMITTED = "sweep-committed"
    CLAIM_BEFORE_COMMIT = "claim-before-commit"
    CLAIM_COMMITTED = "claim-committed"
    COMPUTED = "computed"
    RECORD_BEFORE_COMMIT = "record-before-commit"
    RECORD_COMMITTED = "record-committed"


#: Called at each fault point that is passed.
Reach = Callable[[FaultPoint], None]


def unharmed(_: FaultPoint) -> None:
    """Does nothing: what production passes."""
