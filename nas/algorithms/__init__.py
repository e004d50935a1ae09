"""What is tried next: the steps of a search, rebuilt from stored results each time."""

from nas.algorithms.front import contenders, hypervolume, non_dominated, reference_point
from nas.algorithms.generation import proposal_versions, propose, select
from nas.algorithms.member import Member, losses_of, objectives_of, std_errors_of, violation_of

__all__ = [
    "Member",
    "contenders",
    "hypervolume",
    "losses_of",
    "non_dominated",
    "objectives_of",
    "proposal_versions",
    "propose",
    "reference_point",
    "select",
    "std_errors_of",
    "violation_of",
]
