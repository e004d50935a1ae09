"""The space of a search: its genes as variables that an algorithm can vary, and the way back to a genome.

A *variable* is a gene that can take more than one value; a per-layer gene is one variable a layer, `topology.2`.
A *point* maps the variables' keys to numbers: the index of an option, or a real number. `decode` makes a point a
genome; `encode` finds a point of a genome. Genes without effect may have any value in a point.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from nas.space.genome import Genome, canonical_encoding, rounded_rate
from nas.space.layout import canonical_observable, canonical_topology
from nas.spec import SearchSpec
from nas.spec.genes import FloatRange, choices_of

if TYPE_CHECKING:
    import numpy as np  # the API reads genomes without it

Point = dict[str, float]

_ORDERED = frozenset({"qubits", "layers", "learning_rate"})
_NESTED = frozenset({"rotations", "pre_layers", "post_layers"})


@dataclass(frozen=True, slots=True)
class Options:
    """A gene with a finite number of values; a point holds the index. Ordered options lie on a line."""

    key: str
    values: tuple[Any, ...]
    is_ordered: bool


@dataclass(frozen=True, slots=True)
class Interval:
    """A real gene; a point holds the value, or its decimal logarithm where `is_log`."""

    key: str
    low: float
    high: float
    is_log: bool


Variable = Options | Interval


class NotInSpace(ValueError):
    """A genome that this space cannot produce."""


@dataclass(frozen=True)
class SearchSpace:
    """The genes of a search. Immutable; made by `from_spec`."""

    genes: Mapping[str, Variable]  #: by gene name, fixed genes included
    per_layer: frozenset[str]
    max_layers: int

    @classmethod
    def from_spec(cls, spec: SearchSpec) -> Self:
        """Returns the space of a validated spec.

        Without training, or with rates that every candidate tries, the learning rate is no gene.
        """
        genes: dict[str, Variable] = {}
        for name in type(spec.space).model_fields:
            if name == "per_layer":
                continue
            gene = getattr(spec.space, name)
            if name == "learning_rate" and (gene is None or not spec.has_training):
                genes[name] = Options(name, (None,), is_ordered=True)
            elif isinstance(gene, FloatRange):
                genes[name] = _interval(name, gene)
            else:
                values = choices_of(gene, is_nested=name in _NESTED)
                genes[name] = Options(name, tuple(sorted(values)) if name in _ORDERED else values, name in _ORDERED)
        layers = genes["layers"]
        assert isinstance(layers, Options)
        return cls(genes=genes, per_layer=frozenset(spec.space.per_layer), max_layers=max(layers.values))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The genes with more than one value, one variable a layer for per-layer genes."""
        found: list[Variable] = []
        for name, gene in self.genes.items():
            if isinstance(gene, Interval):
                found.append(gene)
            elif len(gene.values) > 1:
                found.extend(Options(key, gene.values, gene.is_ordered) for key in self._keys(name))
        return tuple(found)

    @property
    def size(self) -> float:
        """Number of points, an upper bound on the number of architectures; infinite with a real gene."""
        return math.prod(
            math.inf if isinstance(variable, Interval) else len(variable.values) for variable in self.variables
        )

    def sample(self, rng: "np.random.Generator") -> Genome:
        """Returns a genome drawn uniformly over the points."""
        return self.decode(
            {
                variable.key: float(rng.uniform(variable.low, variable.high))
                if isinstance(variable, Interval)
                else int(rng.integers(len(variable.values)))
                for variable in self.variables
            }
        )

    def decode(self, point: Mapping[str, float]) -> Genome:
        """Returns the canonical genome at a point."""

        def value(name: str, layer: int | None = None) -> Any:
            gene = self.genes[name]
            if isinstance(gene, Interval):
                return _rate_at(gene, point[gene.key])
            if len(gene.values) == 1:
                return gene.values[0]
            return gene.values[int(point[name if layer is None or name not in self.per_layer else f"{name}.{layer}"])]

        layers = range(value("layers"))
        return Genome.canonical(
            qubits=value("qubits"),
            layers=len(layers),
            encoding=value("encoding"),
            reuploading=value("reuploading"),
            rotations=[value("rotations", layer) for layer in layers],
            entangler=[value("entangler", layer) for layer in layers],
            topology=[value("topology", layer) for layer in layers],
            observable=value("observable"),
            pre_layers=value("pre_layers"),
            post_layers=value("post_layers"),
            learning_rate=value("learning_rate"),
        )

    def encode(self, genome: Genome) -> Point:
        """Returns a point that decodes to the genome; genes without effect take their first option.

        Raises:
            NotInSpace: no point does.
        """
        point: Point = {}
        for name, gene in self.genes.items():
            if isinstance(gene, Interval):
                rate = genome.learning_rate
                if rate is None:
                    raise NotInSpace("the genome has no learning rate")
                point[name] = min(max(math.log10(rate) if gene.is_log else rate, gene.low), gene.high)
            elif len(gene.values) > 1:
                for layer, key in enumerate(self._keys(name)):
                    point[key] = self._index(gene, genome, layer)
        if self.decode(point) != genome:
            raise NotInSpace(f"genome {genome.digest[:12]} is not in this space")
        return point

    def contains(self, genome: Genome) -> bool:
        """Whether some point decodes to this genome."""
        try:
            self.encode(genome)
        except NotInSpace:
            return False
        return True

    def _keys(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}.{layer}" for layer in range(self.max_layers)) if name in self.per_layer else (name,)

    def _index(self, gene: Options, genome: Genome, layer: int) -> int:
        wanted = getattr(genome, gene.key)
        if gene.key in ("rotations", "entangler", "topology"):
            if layer >= genome.layers:
                return 0
            if gene.key in self.per_layer:
                wanted = wanted[layer]
            else:
                # A layer without entanglers says nothing of the gene that all layers share.
                wanted = next((value for value in wanted if value is not None), None)
        if gene.key == "entangler" and wanted is None:
            return 0
        if gene.key == "reuploading" and not wanted:
            return gene.values.index(False) if False in gene.values else 0
        for index, value in enumerate(gene.values):
            if _canonical(gene.key, value, genome.qubits) == wanted:
                return index
        raise NotInSpace(f"{gene.key} {wanted!r} is not among the options of this space")


def _canonical(name: str, value: Any, n_qubits: int) -> Any:
    if name == "encoding":
        return canonical_encoding(value, n_qubits)
    if name == "topology":
        return canonical_topology(value, n_qubits)
    if name == "observable":
        return canonical_observable(value, n_qubits)
    return rounded_rate(value) if name == "learning_rate" and value is not None else value


def _interval(name: str, gene: FloatRange) -> Variable:
    if gene.min == gene.max:
        return Options(name, (gene.min,), is_ordered=True)
    if gene.log:
        return Interval(name, math.log10(gene.min), math.log10(gene.max), is_log=True)
    return Interval(name, gene.min, gene.max, is_log=False)


def _rate_at(gene: Interval, position: float) -> float:
    return rounded_rate(10.0**position if gene.is_log else position)
