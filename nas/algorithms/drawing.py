"""New genomes: drawn from proposals, each valid, allowed, and never proposed before in the search."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from nas.space import Genome, Options, Point, SearchSpace, Variable

IsAllowed = Callable[[Genome], bool]

#: Random draws for each genome wanted, and at most, before a space is taken as used up.
_DRAWS_PER_GENOME = 200
_MAX_DRAWS = 50_000

#: Finite spaces up to this size are gone through to the end once random draws find nothing new.
_ENUMERABLE = 20_000


class Draw:
    """Collects up to `n` new genomes. `seen` are the digests proposed before; it is not changed."""

    def __init__(self, n: int, *, seen: set[str], is_allowed: IsAllowed) -> None:
        self._n = n
        self._seen = set(seen)
        self._is_allowed = is_allowed
        self.genomes: list[Genome] = []

    @property
    def is_full(self) -> bool:
        """Whether enough were found."""
        return len(self.genomes) >= self._n

    def take(self, proposals: Iterable[Genome]) -> None:
        """Takes from the proposals what is new and allowed, until full."""
        for genome in proposals:
            if self.is_full:
                return
            digest = genome.digest
            if digest not in self._seen:
                self._seen.add(digest)
                if self._is_allowed(genome):
                    self.genomes.append(genome)

    def fill(self, space: SearchSpace, rng: np.random.Generator) -> None:
        """Fills up with uniform draws, and from a small finite space with whatever is left of it."""
        n_draws = min(_DRAWS_PER_GENOME * (self._n - len(self.genomes)), _MAX_DRAWS)
        self.take(space.sample(rng) for _ in range(n_draws))
        if not self.is_full and space.size <= _ENUMERABLE:
            self.take(every_genome(space))


def every_genome(space: SearchSpace) -> Iterator[Genome]:
    """Yields the genome of every point of a finite space but forbidden ones; points of one architecture repeat it.

    In the order of the genes, the values of the last one side by side; of a gene that may differ from layer to layer,
    only the layers that are there vary.
    """
    layers = space.genes["layers"]
    assert isinstance(layers, Options)

    def points(variables: Sequence[Variable], point: Point) -> Iterator[Point]:
        if not variables:
            yield point
            return
        first, *others = variables
        assert isinstance(first, Options)
        layer = int(first.key.partition(".")[2] or 0)  # of a key such as topology.2
        is_there = layer < layers.values[int(point.get("layers", 0))]
        for index in range(len(first.values) if is_there else 1):
            yield from points(others, {**point, first.key: index})

    genomes = (space.decode(point) for point in points(space.variables, {}))
    return (genome for genome in genomes if not space.forbids(genome))
