"""NSGA-II (Deb et al. 2002), in two steps that keep nothing between them.

    survival.select   parents and offspring → the population that lives on
    mating.offspring  population → tournament, gene-wise crossover and mutation → new genomes

The operators are pymoo's. Departures from the paper: genes of several kinds vary each in its own way (uniform
crossover and random reset for choices, SBX and polynomial mutation for ordered and real genes), and a genome that was
ever proposed in the search is not proposed again.
"""

from nas.algorithms.nsga2.mating import offspring
from nas.algorithms.nsga2.survival import select

__all__ = ["offspring", "select"]
