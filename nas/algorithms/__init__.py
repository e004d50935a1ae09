"""What is tried next: the steps of a search, rebuilt from stored results each time."""

from nas.algorithms.clearance import estimates_of, nearly_non_dominated
from nas.algorithms.front import contenders, hypervolume, non_dominated, reference_point
from nas.algorithms.generation import proposal_versions, propose, select
from nas.algorithms.member import Member, losses_of, objectives_of, std_errors_of, violation_of
from nas.algorithms.stages import Rival, Stop, judge

__all__ = [
    "Member",
    "Rival",
    "Stop",
    "contenders",
    "estimates_of",
    "hypervolume",
    "judge",
    "losses_of",
    "nearly_non_dominated",
    "non_dominated",
    "objectives_of",
    "proposal_versions",
    "propose",
    "reference_point",
    "select",
    "std_errors_of",
    "violation_of",
]
