"""The space of a search: its genes as variables that an algorithm can vary, and the way back to a genome.

A *variable* is a gene that can take more than one value; a per-layer gene is one variable a layer, `topology.2`.
A *point* maps the variables' keys to numbers: the index of an option, or a real number. `decode` makes a point a
genome; `encode` finds a point of a genome. Genes without effect may have any value in a point. A gene that has no
effect anywhere in the space, as `rotations` beside named templates alone, is no variable.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from nas.space.genome import Genome, canonical_encoding, rounded_rate
from nas.space.layout import canonical_observable, canonical_topology
from nas.space.templates import canonical_template
from nas.spec import SearchSpec
from nas.spec.forbidden import Forbidden
from nas.spec.genes import LAYER_GENES, LAYERED, NESTED_GENES, REPEATABLE_ENCODINGS, FloatRange, choices_of

if TYPE_CHECKING:
    import numpy as np  # the API reads genomes without it

Point = dict[str, float]

_ORDERED = frozenset({"qubits", "layers", "learning_rate"})
_NO_GENES = frozenset({"per_layer", "forbid"})


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


def is_forbidden(genome: Genome, entries: Iterable[Forbidden]) -> bool:
    """Whether some entry of `space.forbid` matches a genome."""
    return any(entry.matches(genome.values) for entry in entries)


@dataclass(frozen=True)
class SearchSpace:
    """The genes of a search. Immutable; made by `from_spec`."""

    genes: Mapping[str, Variable]  #: by gene name, fixed genes included
    per_layer: frozenset[str]
    max_layers: int
    forbid: tuple[Forbidden, ...] = ()

    @classmethod
    def from_spec(cls, spec: SearchSpec) -> Self:
        """Returns the space of a validated spec.

        Without training, or with rates that every candidate tries, the learning rate is no gene.
        """
        genes: dict[str, Variable] = {}
        for name in type(spec.space).model_fields:
            if name in _NO_GENES:
                continue
            gene = getattr(spec.space, name)
            if name == "learning_rate" and (gene is None or not spec.has_training):
                genes[name] = Options(name, (None,), is_ordered=True)
            elif isinstance(gene, FloatRange) and (gene.points is None or gene.min == gene.max):
                genes[name] = _interval(name, gene)
            else:
                values = choices_of(gene, is_nested=name in NESTED_GENES)
                genes[name] = Options(name, tuple(sorted(values)) if name in _ORDERED else values, name in _ORDERED)
        for name in _without_effect(genes):
            genes[name] = Options(name, _values(genes, name)[:1], is_ordered=False)
        return cls(
            genes=genes,
            per_layer=frozenset(spec.space.per_layer),
            max_layers=max(_values(genes, "layers")),
            forbid=tuple(spec.space.forbid),
        )

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

    @property
    def without_effect(self) -> frozenset[str]:
        """The genes that have an effect on no architecture of the space."""
        return frozenset(_without_effect(self.genes))

    def without_real_genes(self) -> tuple[Self, tuple[str, ...]]:
        """Returns the finite space in which each real gene keeps its lowest value, and the names of those genes."""
        fixed: dict[str, Variable] = {
            name: Options(name, (_rate_at(gene, gene.low),), is_ordered=True)
            for name, gene in self.genes.items()
            if isinstance(gene, Interval)
        }
        return replace(self, genes={**self.genes, **fixed}), tuple(fixed)

    def sample(self, rng: "np.random.Generator") -> Genome:
        """Returns a genome drawn uniformly over the points, forbidden ones among them."""
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
            template=value("template"),
        )

    def encode(self, genome: Genome, *, rng: "np.random.Generator | None" = None) -> Point:
        """Returns a point that decodes to the genome.

        Args:
            genome: what the point stands for, forbidden or not.
            rng: draws the options of genes without effect, which may get one in offspring; without it they take their
                first option.

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
                    index = self._index(gene, genome, layer)
                    if index is None:
                        index = 0 if rng is None else int(rng.integers(len(gene.values)))
                    point[key] = index
        if self.decode(point) != genome:
            raise NotInSpace(f"genome {genome.digest[:12]} is not in this space")
        return point

    def contains(self, genome: Genome) -> bool:
        """Whether some point decodes to this genome, and nothing forbids it."""
        try:
            self.encode(genome)
        except NotInSpace:
            return False
        return not self.forbids(genome)

    def forbids(self, genome: Genome) -> bool:
        """Whether the genome has a forbidden combination."""
        return is_forbidden(genome, self.forbid)

    def _keys(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}.{layer}" for layer in range(self.max_layers)) if name in self.per_layer else (name,)

    def _index(self, gene: Options, genome: Genome, layer: int) -> int | None:
        """Returns the option that a genome has of a gene, in a layer if the gene is per layer; None without effect."""
        wanted = getattr(genome, gene.key)
        if gene.key in LAYER_GENES:
            if genome.template != LAYERED or layer >= genome.layers:
                return None
            # Where the gene is one for all layers, a layer without entanglers says nothing of it.
            wanted = wanted[layer] if gene.key in self.per_layer else next((v for v in wanted if v is not None), None)
            if wanted is None:
                return None
        if gene.key == "reuploading" and (genome.layers == 1 or genome.encoding not in REPEATABLE_ENCODINGS):
            return None
        for index, value in enumerate(gene.values):
            if _canonical(gene.key, value, genome.qubits) == wanted:
                return index
        raise NotInSpace(f"{gene.key} {wanted!r} is not among the options of this space")


def _values(genes: Mapping[str, Variable], name: str) -> tuple[Any, ...]:
    gene = genes[name]
    assert isinstance(gene, Options)
    return gene.values


def _without_effect(genes: Mapping[str, Variable]) -> list[str]:
    """Returns the genes that no architecture of the space has an effect of."""
    found: list[str] = []
    if LAYERED not in _values(genes, "template"):
        found.extend(LAYER_GENES)
    elif max(_values(genes, "qubits")) == 1:
        found.extend(("entangler", "topology"))
    elif set(_values(genes, "topology")) == {"none"}:
        found.append("entangler")
    if max(_values(genes, "layers")) == 1 or not set(_values(genes, "encoding")) & REPEATABLE_ENCODINGS:
        found.append("reuploading")
    return found


def _canonical(name: str, value: Any, n_qubits: int) -> Any:
    if name == "encoding":
        return canonical_encoding(value, n_qubits)
    if name == "topology":
        return canonical_topology(value, n_qubits)
    if name == "observable":
        return canonical_observable(value, n_qubits)
    if name == "template":
        return canonical_template(value, n_qubits)
    return rounded_rate(value) if name == "learning_rate" and value is not None else value


def _interval(name: str, gene: FloatRange) -> Variable:
    if gene.min == gene.max:
        return Options(name, (gene.min,), is_ordered=True)
    if gene.log:
        return Interval(name, math.log10(gene.min), math.log10(gene.max), is_log=True)
    return Interval(name, gene.min, gene.max, is_log=False)


def _rate_at(gene: Interval, position: float) -> float:
    return rounded_rate(10.0**position if gene.is_log else position)
