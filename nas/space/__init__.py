"""Genes, genomes, and the space they are drawn from."""

from nas.space.genome import Genome
from nas.space.search_space import Interval, NotInSpace, Options, Point, SearchSpace, Variable, is_forbidden

__all__ = ["Genome", "Interval", "NotInSpace", "Options", "Point", "SearchSpace", "Variable", "is_forbidden"]
