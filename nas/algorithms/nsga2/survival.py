"""Who lives on: constraint domination first, then rank, then crowding distance (Deb et al. 2002, III).

Departure: ranks are fronts of `nas.algorithms.dominance`, which are Pareto fronts where all objectives are exact. The
crowding distance is that of the values.
"""

from typing import Any

import numpy as np
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from nas.algorithms.dominance import Floats, bars, fronts
from nas.algorithms.member import Member
from nas.algorithms.nsga2.population import to_population, to_problem
from nas.space import SearchSpace


def select(
    members: list[Member], space: SearchSpace, *, n_survivors: int, n_objectives: int, rng: np.random.Generator
) -> list[int]:
    """Returns the indices of the members that live on, in ascending order."""
    population = to_population(members, space, n_objectives)
    population.set("position", np.arange(len(members)))
    survivors = ranked(population, space, n_survivors=n_survivors, n_objectives=n_objectives, rng=rng)
    return sorted(int(position) for position in survivors.get("position"))


def ranked(
    population: Any, space: SearchSpace, *, n_survivors: int, n_objectives: int, rng: np.random.Generator
) -> Any:
    """Returns the survivors with rank and crowding set on each feasible one."""
    problem = to_problem(space, n_objectives)
    survival = _RankAndCrowding()
    return survival.do(problem, population, n_survive=min(n_survivors, len(population)), random_state=rng)


class _RankAndCrowding(RankAndCrowding):  # type: ignore[misc]  # pymoo has no types
    """pymoo's survival, over ranks that know of standard errors."""

    def _do(self, problem: Any, pop: Any, *args: Any, **kwargs: Any) -> Any:
        std_errors = pop.get("std_errors").astype(float)
        if std_errors.any():
            self.nds = _NoisySorting(std_errors)
        return super()._do(problem, pop, *args, **kwargs)


class _NoisySorting:
    """Non-dominated sorting of points whose standard errors are known, in the place of pymoo's."""

    def __init__(self, std_errors: Floats) -> None:
        self._std_errors = std_errors

    def do(self, F: Any, *, n_stop_if_ranked: int) -> list[Any]:  # noqa: N803  # pymoo's name
        """Returns the fronts, best first, until so many points are in one."""
        found: list[Any] = []
        for front in fronts(bars(F, self._std_errors)):
            found.append(front)
            if sum(map(len, found)) >= n_stop_if_ranked:
                break
        return found
