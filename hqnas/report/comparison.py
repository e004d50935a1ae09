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
from hqnas.export.genes import GENES, gene_of
from hqnas.report.study import Floats, Member, Row, Study, losses_of

#: How far beyond the worst value the common reference point lies, relative to the span of values.
REFERENCE_MARGIN: Final = 0.1

#: The value of a gene of layers where a template describes them.
WITHOUT_EFFECT: Final = "no effect"

_NOT_COUNTED: Final = frozenset({"learning_rate"})  #: a real number; nearly every candidate has its own


@dataclass(frozen=True, slots=True)
class Growth:
    """The dominated volume of one search over its candidates, up to the reference point of all searches."""

    member: Member
    n_evaluated: tuple[int, ...]
    volumes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of a front whose members are matched or dominated by some member of another."""

    of: str
    by: str
    n: int  #: members of the front, among those objectives
    share: float  #: by value
    share_within_errors: float  #: where values whose bars, ± one standard error, meet count as equal


@dataclass(frozen=True, slots=True)
class GeneShare:
    """How often a value of a gene occurs, by label of the search: on its front, and among all that it evaluated."""

    gene: str
    value: str
    on_front: dict[str, float]
    evaluated: dict[str, float]


def own_reference_point(member: Member, objectives: tuple[Objective, ...]) -> Floats | None:
    """Returns the point that a search keeps for its life, all goals minimised; None where it has none."""
    kept = member.search.reference_point
    if kept is None or any(objective.metric not in kept for objective in objectives):
        return None
    return np.array([-kept[o.metric] if o.is_maximized else kept[o.metric] for o in objectives], dtype=float)


def reference_point(study: Study, objectives: tuple[Objective, ...]) -> Floats:
    """Returns a point, all goals minimised, that is worse in each objective than every evaluated candidate."""
    points = losses_of(study.rows, objectives)
    worst, span = points.max(0), np.ptp(points, 0)
    reference: Floats = worst + REFERENCE_MARGIN * np.where(span > 0, span, 1.0)
    return reference


def growth(study: Study, objectives: tuple[Objective, ...]) -> list[Growth]:
    """Returns each search's dominated volume after each of its generations.

    One search has its own reference point, which is kept for its life; several have a common one, else their volumes
    could not be compared. A search that ended before it had one gets one of its candidates. Candidates that break a
    constraint count for nothing.
    """
    if len(study.members) > 1:
        reference = reference_point(study, objectives)
        return [_growth(member, objectives, reference) for member in study.members]
    (member,) = study.members
    known = [(g.evaluations, g.hypervolume) for g in member.generations if g.hypervolume is not None]
    if known:
        return [Growth(member, tuple(n for n, _ in known), tuple(volume for _, volume in known))]
    # A grid has its point at the end, and no volumes on the way.
    own = own_reference_point(member, objectives)
    return [_growth(member, objectives, reference_point(study, objectives) if own is None else own)]


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
    fronts = {member.label: _bars(front_in(member, objectives), objectives) for member in study.members}
    return [
        Coverage(
            of=of,
            by=by,
            n=len(fronts[of][1]),
            share=_coverage(fronts[of][1], fronts[by][1]),
            share_within_errors=_coverage(fronts[of][2], fronts[by][0]),
        )
        for by, of in permutations(fronts, 2)
        if len(fronts[of][1])
    ]


def front_in(member: Member, objectives: tuple[Objective, ...]) -> tuple[Row, ...]:
    """Returns the front of a search; of one with further objectives, what is non-dominated in these alone, by value.

    A member that is on the front for another objective would be dominated in these by candidates of its own search.
    """
    if set(member.search.objectives) <= set(objectives):
        return member.front
    feasible = [row for row in member.rows if row.candidate.violation == 0]
    if not feasible:
        return ()
    is_kept = moocore.is_nondominated(losses_of(feasible, objectives), keep_weakly=True)
    return tuple(row for row, kept in zip(feasible, is_kept, strict=True) if kept)


def _bars(rows: Sequence[Row], objectives: tuple[Objective, ...]) -> tuple[Floats, Floats, Floats]:
    """Returns lower ends, values and upper ends of the objectives of rows, each (rows, objectives), minimised."""
    values = losses_of(rows, objectives)
    errors = np.array([[row.error(o.metric) for o in objectives] for row in rows]).reshape(values.shape)
    return values - errors, values, values + errors


def _coverage(covered: Floats, covering: Floats) -> float:
    is_covered = (covering[:, None] <= covered[None]).all(-1).any(0) if len(covering) else np.zeros(len(covered))
    return float(is_covered.mean())


def gene_shares(study: Study) -> list[GeneShare]:
    """Returns how often each value of each gene occurs that is not the same everywhere, gene by gene.

    A gene that differs from layer to layer counts as its sequence of values.
    """
    found = []
    for gene in GENES:
        if gene in _NOT_COUNTED:
            continue
        counts = {member.label: _counts(member.rows, gene) for member in study.members}
        fronts = {member.label: _counts(member.front, gene) for member in study.members}
        values = sorted(set().union(*counts.values()), key=_sort_key)
        if len(values) > 1:
            found += [GeneShare(gene, value, _shares(fronts, value), _shares(counts, value)) for value in values]
    return found


def _counts(rows: Sequence[Row], gene: str) -> Counter[str]:
    return Counter(gene_of(row.candidate.genome, gene) or WITHOUT_EFFECT for row in rows)


def _shares(counts: dict[str, Counter[str]], value: str) -> dict[str, float]:
    return {label: count[value] / max(1, count.total()) for label, count in counts.items()}


def _sort_key(text: str) -> tuple[Any, ...]:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)
