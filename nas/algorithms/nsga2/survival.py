"""Who lives on: constraint domination first, then rank, then crowding distance (Deb et al. 2002, III)."""

from typing import Any

import numpy as np
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

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
    return RankAndCrowding().do(problem, population, n_survive=min(n_survivors, len(population)), random_state=rng)
