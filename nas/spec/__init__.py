"""What a person submits, and every limit on it. Plain Python: no simulator is loaded to validate a spec."""

from nas.spec.errors import InvalidSpec, Problem, parse_spec, problems_from
from nas.spec.metrics import METRICS, MetricInfo, Needs
from nas.spec.protocol import Protocol
from nas.spec.search import SearchSpec
from nas.spec.stored import parse_stored

__all__ = [
    "METRICS",
    "InvalidSpec",
    "MetricInfo",
    "Needs",
    "Problem",
    "Protocol",
    "SearchSpec",
    "parse_spec",
    "parse_stored",
    "problems_from",
]
