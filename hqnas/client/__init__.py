"""The Python client of the REST API: submit a search, follow it, read its front. Needs httpx2 and no simulator."""

from hqnas.client.client import Client
from hqnas.client.documents import read_document
from hqnas.client.errors import (
    Conflict,
    HqnasError,
    NotAllowed,
    NotFound,
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
from hqnas.client.transport import Outage

__all__ = [
    "Candidate",
    "CandidateDetail",
    "Client",
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
    "RefusedSpec",
    "Search",
    "SpecProblem",
    "Stage",
    "TimedOut",
    "Unavailable",
    "UnexpectedAnswer",
    "UnreadableSpec",
    "read_document",
]
