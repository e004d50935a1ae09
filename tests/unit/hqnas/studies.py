"""Searches with made-up candidates, for the tests of reports."""

import math

import numpy as np

from hqnas.client.results import Candidate, Generation, Search
from hqnas.report.study import Member, Row


def make_member(
    documents, points, *, label="one", mode="full-hybrid", genomes=None, fronts=(), generations=None, spec=None, **facts
):
    """A search whose candidates have these (accuracy, expressibility, gradient variance)."""
    spec = {**documents.spec, "training": {"mode": mode}, **(spec or {})}
    search = Search.from_json(documents.search(name=label, spec=spec, **facts))
    rows = []
    for i, (accuracy, expressibility, variance) in enumerate(points):
        found = documents.candidate(0, accuracy=accuracy, expressibility=expressibility, is_on_front=i in fronts)
        found["metrics"]["gradient_variance"] = {
            "value": variance,
            "std_error": 0.02,
            "unit": "log10",
            "version": 1,
        }
        found["genome"] = {**found["genome"], **(genomes[i] if genomes else {})}
        found |= {
            "generation": generations[i] if generations else 0,
            "index": i,
            "digest": f"{i:064x}",
            "id": f"candidate-{i}",
        }
        rows.append(Row(search, label, Candidate.from_json(found)))
    steps = tuple(Generation.from_json(item) for item in documents.generations)
    return Member(search, label, tuple(rows), steps)


def drawn(n, rho, seed=1):
    """Pairs with a given correlation, and an accuracy that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)
    return [(float(a), float(b), float(c)) for a, b, c in zip(rng.uniform(size=n), x, y, strict=True)]
