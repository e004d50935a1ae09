"""Fronts beside one another: dominated volume, coverage, and what the architectures on each have in common.

Sources:
    [Zitzler98] Zitzler, Thiele 1998, PPSN V, 292: hypervolume, and the coverage C(A, B).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

import moocore
import numpy as np

from hqnas.client.results import Objective
from hqnas.export import gene_text
from hqnas.report.study import Floats, Member, Row, Study, losses_of

#: How far beyond the worst value the common reference point lies, relative to the span of values.
REFERENCE_MARGIN: Final = 0.1

_NOT_COUNTED: Final = frozenset({"learning_rate"})  #: a real number; nearly every candidate has its own


@dataclass(frozen=True, slots=True)
class Growth:
    """The dominated volume of one search over its candidates, up to the reference point of all searches."""

    member: Member
    n_evaluated: tuple[int, ...]
    volumes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many members of a front are matched or dominated by some member of another."""

    of: str
    by: str
    n_covered: int
    n: int

    @property
    def share(self) -> float:
        """C(A, B) of [Zitzler98]."""
        return self.n_covered / self.n


@dataclass(frozen=True, slots=True)
class GeneShare:
    """How often a value of a gene occurs, by label of the search: on its front, and among all that it evaluated."""

    gene: str
    value: str
    on_front: dict[str, float]
    evaluated: dict[str, float]


def reference_point(study: Study, objectives: tuple[Objective, ...]) -> Floats:
    """Returns a point, all goals minimised, that is worse in each objective than every evaluated candidate."""
    points = losses_of(study.rows, objectives)
    worst, span = points.max(0), np.ptp(points, 0)
    reference: Floats = worst + REFERENCE_MARGIN * np.where(span > 0, span, 1.0)
    return reference


def growth(study: Study, objectives: tuple[Objective, ...]) -> list[Growth]:
    """Returns each search's dominated volume after each of its generations.

    One search has its own reference point, which is kept for its life; several have a common one, else their volumes
    could not be compared. Candidates that break a constraint count for nothing.
    """
    if len(study.members) == 1:
        (member,) = study.members
        known = [(g.evaluations, g.hypervolume) for g in member.generations if g.hypervolume is not None]
        return [Growth(member, tuple(n for n, _ in known), tuple(volume for _, volume in known))]
    reference = reference_point(study, objectives)
    return [_growth(member, objectives, reference) for member in study.members]


def _growth(member: Member, objectives: tuple[Objective, ...], reference: Floats) -> Growth:
    numbers = [row.candidate.generation for row in member.rows]
    counts, volumes = [], []
    for generation in sorted(set(numbers)):
        rows = [row for row in member.rows if row.candidate.generation <= generation]
        feasible = [row for row in rows if row.candidate.violation == 0]
        counts.append(len(rows))
        volumes.append(_volume(losses_of(feasible, objectives), reference))
    return Growth(member, tuple(counts), tuple(volumes))


def _volume(points: Floats, reference: Floats) -> float:
    return float(moocore.hypervolume(points, ref=reference)) if len(points) else 0.0


def coverages(study: Study, objectives: tuple[Objective, ...]) -> list[Coverage]:
    """Returns C(A, B) of every ordered pair of fronts; it is not symmetric."""
    fronts = {member.label: losses_of(member.front, objectives) for member in study.members}
    return [
        Coverage(of=of, by=by, n_covered=_n_covered(fronts[of], fronts[by]), n=len(fronts[of]))
        for by, of in permutations(fronts, 2)
        if len(fronts[of])
    ]


def _n_covered(covered: Floats, covering: Floats) -> int:
    return int((covering[:, None] <= covered[None]).all(-1).any(0).sum()) if len(covering) else 0


def gene_shares(study: Study) -> list[GeneShare]:
    """Returns how often each value of each gene occurs that is not the same everywhere, gene by gene.

    A gene that differs from layer to layer counts as its sequence of values.
    """
    genes = [name for name in study.rows[0].candidate.genome if name not in _NOT_COUNTED]
    found = []
    for gene in genes:
        counts = {member.label: _counts(member.rows, gene) for member in study.members}
        fronts = {member.label: _counts(member.front, gene) for member in study.members}
        values = sorted(set().union(*counts.values()), key=_sort_key)
        if len(values) > 1:
            found += [GeneShare(gene, value, _shares(fronts, value), _shares(counts, value)) for value in values]
    return found


def _counts(rows: Sequence[Row], gene: str) -> Counter[str]:
    return Counter(gene_text(gene, row.candidate.genome.get(gene)) for row in rows)


def _shares(counts: dict[str, Counter[str]], value: str) -> dict[str, float]:
    return {label: count[value] / max(1, count.total()) for label, count in counts.items()}


def _sort_key(text: str) -> tuple[Any, ...]:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)
