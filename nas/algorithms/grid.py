"""A grid: every architecture of a finite space once, in the order of its points."""

from itertools import islice

from nas.algorithms.drawing import IsAllowed, every_genome
from nas.space import Genome, SearchSpace
from nas.spec.limits import MAX_GRID_POINTS


def following(space: SearchSpace, *, n: int, seen: set[str], is_allowed: IsAllowed) -> list[Genome]:
    """Returns up to `n` genomes that follow those proposed before; none at the end.

    Args:
        space: finite; of a larger one than a spec may ask for without a budget, the first points.
        n: most genomes wanted.
        seen: digests of all genomes proposed before, which are the first allowed ones of the grid.
        is_allowed: whether a genome may be proposed; not asked again of those before the last one proposed.
    """
    known, to_pass = set(seen), set(seen)
    found: list[Genome] = []
    for genome in islice(every_genome(space), MAX_GRID_POINTS):
        if len(found) == n:
            break
        digest = genome.digest
        if to_pass:
            to_pass.discard(digest)
        elif digest not in known and is_allowed(genome):
            known.add(digest)
            found.append(genome)
    return found
