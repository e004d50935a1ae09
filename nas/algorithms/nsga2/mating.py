"""Where offspring come from: binary tournaments, then crossover and mutation gene by gene."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.core.duplicate import NoDuplicateElimination
from pymoo.core.mixed import MixedVariableMating
from pymoo.core.variable import Choice, Integer, Real
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.mutation.rm import ChoiceRandomMutation
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.selection.tournament import TournamentSelection

from nas.algorithms.drawing import Draw
from nas.algorithms.member import Member
from nas.algorithms.nsga2.population import to_population, to_problem
from nas.algorithms.nsga2.survival import ranked
from nas.space import Genome, SearchSpace

#: Distribution indices of SBX and polynomial mutation: wide for the few steps of an ordered gene.
_ETA_ORDERED = 3.0
_ETA_REAL = 15.0

#: Broods tried before the rest of a generation is drawn at random.
_MAX_BROODS = 20


def offspring(
    parents: list[Member], space: SearchSpace, draw: Draw, *, n: int, n_objectives: int, rng: np.random.Generator
) -> None:
    """Fills the draw with offspring of the parents, brood by brood; at the end, with random genomes."""
    if space.variables and len(parents) > 1:
        population = to_population(parents, space, n_objectives, rng=rng)
        population = ranked(population, space, n_survivors=len(parents), n_objectives=n_objectives, rng=rng)
        problem, mating = to_problem(space, n_objectives), _mating(len(space.variables))
        rules = SimpleNamespace(tournament_type="comp_by_rank_and_crowding", random_state=rng)

        def brood() -> Iterator[Genome]:
            children = mating.do(problem, population, 2 * (n // 2 + 1), random_state=rng, algorithm=rules)
            return (space.decode(child.X) for child in children)

        for _ in range(_MAX_BROODS):
            if draw.is_full:
                return
            draw.take(brood())
    draw.fill(space, rng)


def _mating(n_variables: int) -> MixedVariableMating:
    # New operator objects for each generation: pymoo's defaults are shared between all that use them.
    rate = 1.0 / n_variables
    rounding = RoundingRepair()
    return MixedVariableMating(
        selection=TournamentSelection(func_comp=binary_tournament),
        crossover={
            Choice: UX(),
            Integer: SBX(eta=_ETA_ORDERED, vtype=float, repair=rounding),
            Real: SBX(eta=_ETA_REAL),
        },
        mutation={
            Choice: ChoiceRandomMutation(prob=1.0, prob_var=rate),
            Integer: PM(prob=1.0, prob_var=rate, eta=_ETA_ORDERED, vtype=float, repair=rounding),
            Real: PM(prob=1.0, prob_var=rate, eta=_ETA_REAL),
        },
        eliminate_duplicates=NoDuplicateElimination(),
    )
