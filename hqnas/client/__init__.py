"""The Python client of the REST API: submit a search, follow it, read its front. Needs httpx2 and no simulator."""

from hqnas.client.client import Client
from hqnas.client.confirmation import Arm, Comparison, Confirmation, ConfirmedMember
from hqnas.client.documents import read_document
from hqnas.client.errors import (
    Conflict,
    HqnasError,
    NotAllowed,
    NotFound,
    RefusedRequest,
    RefusedSpec,
    SpecProblem,
    TimedOut,
    Unavailable,
    UnexpectedAnswer,
    UnreadableSpec,
)
from hqnas.client.measurements import MetricValue, Stage
from hqnas.client.results import (
    Candidate,
    CandidateDetail,
    Epoch,
    Front,
    Generation,
    Objective,
    Progress,
    Search,
)
from hqnas.client.sweep import searches_of
from hqnas.client.transport import Outage

__all__ = [
    "Arm",
    "Candidate",
    "CandidateDetail",
    "Client",
    "Comparison",
    "Confirmation",
    "ConfirmedMember",
    "Conflict",
    "Epoch",
    "Front",
    "Generation",
    "HqnasError",
    "MetricValue",
    "NotAllowed",
    "NotFound",
    "Objective",
    "Outage",
    "Progress",
    "RefusedRequest",
    "RefusedSpec",
    "Search",
    "SpecProblem",
    "Stage",
    "TimedOut",
    "Unavailable",
    "UnexpectedAnswer",
    "UnreadableSpec",
    "read_document",
    "searches_of",
]
