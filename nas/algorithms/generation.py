"""One step of a search, as a function of what is stored: nothing lives between two steps.

Every random choice comes from a generator seeded with (the search's seed, the generation, the purpose), so a step that
is repeated, on another machine or after a crash, gives the same genomes.
"""

import contextlib
from dataclasses import replace
from enum import IntEnum
from functools import partial
from importlib.metadata import version

import numpy as np

from nas.algorithms import nsga2
from nas.algorithms.drawing import Draw
from nas.algorithms.grid import following
from nas.algorithms.member import Member
from nas.circuits import Architecture, UnbuildableGenome
from nas.metrics.static import static_values
from nas.space import Genome, SearchSpace, is_forbidden
from nas.spec import METRICS, SearchSpec

#: Changes whenever the operators or their order change: a search under way then refuses to go on.
OPERATORS_VERSION = 2

#: Operations of refused circuits that one step may build: some ten seconds.
_MAX_REFUSED_OPERATIONS = 3_000_000
_LEAST_REFUSED_OPERATIONS = 30  #: the work of refusing even the smallest circuit, in operations


class _Purpose(IntEnum):
    PROPOSE = 0
    SELECT = 1


def propose(
    spec: SearchSpec, *, generation: int, survivors: list[Member], seen: set[str], n_proposed: int
) -> list[Genome]:
    """Returns the genomes of a generation, at most a population and never beyond the budget of evaluations.

    Fewer, or none, come back when the space holds no other that satisfies the constraints on exact costs.

    Args:
        spec: the search.
        generation: from 0.
        survivors: the population that the last selection left; empty for generation 0.
        seen: digests of all genomes proposed before.
        n_proposed: how many those are.
    """
    n = min(spec.algorithm.population, spec.n_planned - n_proposed)
    space = SearchSpace.from_spec(spec)
    if spec.algorithm.name == "grid":
        # Without an end to the work, for a grid is whole: its size is bounded instead.
        return following(space, n=n, seen=seen, is_allowed=partial(is_allowed, spec))
    rng = _rng(spec, generation, _Purpose.PROPOSE)
    draw = Draw(n, seen=seen, is_allowed=_Filter(spec))
    with contextlib.suppress(_GivenUp):
        if spec.algorithm.name == "nsga2" and generation > 0:
            nsga2.offspring(_compared(spec, survivors), space, draw, n=n, n_objectives=len(spec.objectives), rng=rng)
        else:
            draw.fill(space, rng)
    return draw.genomes


def select(spec: SearchSpec, *, generation: int, members: list[Member]) -> list[int]:
    """Returns the indices of the members, parents and offspring, that are the next population."""
    if spec.algorithm.name != "nsga2":
        return []
    return nsga2.select(
        _compared(spec, members),
        SearchSpace.from_spec(spec),
        n_survivors=spec.algorithm.population,
        n_objectives=len(spec.objectives),
        rng=_rng(spec, generation, _Purpose.SELECT),
    )


def draw_allowed(spec: SearchSpec, space: SearchSpace, *, n: int, rng: np.random.Generator) -> list[Genome]:
    """Returns up to `n` different genomes at random that the search may propose."""
    draw = Draw(n, seen=set(), is_allowed=_Filter(spec))
    with contextlib.suppress(_GivenUp):
        draw.fill(space, rng)
    return draw.genomes


def is_allowed(spec: SearchSpec, genome: Genome) -> bool:
    """Whether nothing forbids the genome, a network can be built of it, and its exact costs satisfy the constraints."""
    if is_forbidden(genome, spec.space.forbid):
        return False
    bounds = [constraint for constraint in spec.constraints if METRICS[constraint.metric].is_static]
    known = {"qubits": genome.qubits, "layers": genome.layers}
    if any(bound.violation(known[bound.metric]) > 0 for bound in bounds if bound.metric in known):
        return False
    if not bounds and spec.training.mode != "pure-quantum":
        return True  # every genome can be built with classical layers around
    try:
        costs = static_values(Architecture.build(genome, spec), spec.metrics, {bound.metric for bound in bounds})
    except UnbuildableGenome:
        return False
    return all(bound.violation(costs[bound.metric]) == 0 for bound in bounds)


class _GivenUp(Exception):
    """Too few genomes of the space satisfy the constraints to go on looking for more."""


class _Filter:
    """`is_allowed` with an end: it gives up once so much work went into genomes that were refused.

    The work is counted in operations of circuits and not in time, so a repeated step ends at the same genome.
    """

    def __init__(self, spec: SearchSpec) -> None:
        self._spec = spec
        self._n_operations_left = _MAX_REFUSED_OPERATIONS

    def __call__(self, genome: Genome) -> bool:
        if self._n_operations_left < 0:
            raise _GivenUp
        if is_forbidden(genome, self._spec.space.forbid):
            self._n_operations_left -= _LEAST_REFUSED_OPERATIONS
            return False
        if is_allowed(self._spec, genome):
            return True
        self._n_operations_left -= _LEAST_REFUSED_OPERATIONS + genome.layers * genome.qubits**2
        return False


def proposal_versions() -> dict[str, str]:
    """Returns the versions that decide what is proposed: a search goes on only under the same.

    Of a library, what a release changes that may break its users: the first number, or the second where that is 0.
    """
    return {"operators": str(OPERATORS_VERSION), "pymoo": _major(version("pymoo")), "numpy": _major(version("numpy"))}


def _major(release: str) -> str:
    first, second, *_ = [*release.split("."), "0"]
    return f"0.{second}" if first == "0" else first


def _compared(spec: SearchSpec, members: list[Member]) -> list[Member]:
    """Returns the members with the standard errors that dominance makes allowance for."""
    return [replace(one, std_errors=None) for one in members] if spec.algorithm.noise == "ignore" else members


def _rng(spec: SearchSpec, generation: int, purpose: _Purpose) -> np.random.Generator:
    return np.random.default_rng([spec.algorithm.seed, generation, purpose])
