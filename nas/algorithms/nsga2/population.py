"""A population in pymoo's terms: points of the space, losses, and the sum of violations as one constraint."""

from typing import Any

import numpy as np
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.variable import Choice, Integer, Real

from nas.algorithms.member import Member
from nas.space import Interval, SearchSpace, Variable

#: The violation of a candidate without objectives, unless constraints that it breaks were measured before it stopped:
#: behind every one that was measured, however far out of bounds.
_FAILED = 1e30


def to_problem(space: SearchSpace, n_objectives: int) -> Any:
    """Returns the pymoo problem with the space's variables: choices are indices, ordered or not."""
    return Problem(
        vars={variable.key: _to_variable(variable) for variable in space.variables},
        n_obj=n_objectives,
        n_ieq_constr=1,
    )


def to_population(
    members: list[Member], space: SearchSpace, n_objectives: int, *, rng: np.random.Generator | None = None
) -> Any:
    """Returns the members as an evaluated pymoo population, in their order, each with its `std_errors`.

    Genes without effect get random options if there is a generator: offspring in which they have one would otherwise
    all have the first.
    """
    individuals = []
    for member in members:
        losses = member.losses if member.losses is not None else (np.inf,) * n_objectives
        violation = member.violation if member.losses is not None else member.violation or _FAILED
        individual = Individual(X=space.encode(member.genome, rng=rng), F=np.array(losses), G=np.array([violation]))
        individual.evaluated = {"F", "G"}
        individual.set("std_errors", member.std_errors or (0.0,) * n_objectives)
        individuals.append(individual)
    return Population.create(*individuals)


def _to_variable(variable: Variable) -> Any:
    if isinstance(variable, Interval):
        return Real(bounds=(variable.low, variable.high))
    last = len(variable.values) - 1
    return Integer(bounds=(0, last)) if variable.is_ordered else Choice(options=list(range(last + 1)))
