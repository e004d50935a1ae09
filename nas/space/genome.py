"""The genome: the immutable value that says which architecture, in canonical form.

Canonical means that a gene without effect has a fixed value (inactive genes are masked) and that per-layer genes are
spelled out for every layer. Two spellings of one architecture are therefore equal and have one digest.

    gene                              has an effect where
    rotations, topology               the template is `layered`
    entangler                         the topology of the layer is not `none`
    reuploading                       there are two layers or more, and the encoding can be repeated
    learning_rate                     something is trained

On few qubits names can mean one wiring; the genome has the first of them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nas.space.layout import canonical_observable, canonical_topology
from nas.space.templates import canonical_template
from nas.spec.genes import LAYERED, REPEATABLE_ENCODINGS

_RATE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Genome:
    """One architecture. Build it with `canonical`, or with `from_json` from a stored genome."""

    qubits: int
    layers: int
    encoding: str
    reuploading: bool
    #: One entry a layer: the rotations of every qubit, in order. These three are empty unless the template is layered.
    rotations: tuple[tuple[str, ...], ...]
    entangler: tuple[str | None, ...]  #: one entry a layer, None where the topology is `none`
    topology: tuple[str, ...]  #: one entry a layer
    observable: str
    pre_layers: tuple[int, ...]
    post_layers: tuple[int, ...]
    learning_rate: float | None  #: None where nothing is trained
    template: str = LAYERED  #: what a layer is built of: the three genes above, or a circuit of the literature

    @classmethod
    def canonical(
        cls,
        *,
        qubits: int,
        layers: int,
        encoding: str,
        reuploading: bool,
        rotations: Sequence[Sequence[str]],
        entangler: Sequence[str | None],
        topology: Sequence[str],
        observable: str,
        pre_layers: Sequence[int],
        post_layers: Sequence[int],
        learning_rate: float | None,
        template: str = LAYERED,
    ) -> Self:
        """Returns the genome with inactive genes masked.

        Raises:
            ValueError: a per-layer gene of a layered circuit has fewer entries than layers, or an unknown template.
        """
        if template != LAYERED:
            rotations = entangler = topology = ()
        for name, gene in (("rotations", rotations), ("entangler", entangler), ("topology", topology)):
            if len(gene) < layers and template == LAYERED:
                raise ValueError(f"{name} has {len(gene)} entries for {layers} layers")
        encoding = canonical_encoding(encoding, qubits)
        wiring = tuple(canonical_topology(name, qubits) for name in topology[:layers])
        return cls(
            qubits=qubits,
            layers=layers,
            encoding=encoding,
            reuploading=reuploading and layers > 1 and encoding in REPEATABLE_ENCODINGS,
            rotations=tuple(tuple(gates) for gates in rotations[:layers]),
            entangler=tuple(None if edges == "none" else gate for gate, edges in zip(entangler, wiring, strict=False)),
            topology=wiring,
            observable=canonical_observable(observable, qubits),
            pre_layers=tuple(pre_layers),
            post_layers=tuple(post_layers),
            learning_rate=None if learning_rate is None else rounded_rate(learning_rate),
            template=canonical_template(template, qubits),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the genome as JSON values; the template stands there unless it is `layered`.

        So genomes from before there were templates have the JSON and the digest that they had.
        """
        document: dict[str, Any] = {
            "qubits": self.qubits,
            "layers": self.layers,
            "encoding": self.encoding,
            "reuploading": self.reuploading,
            "rotations": [list(gates) for gates in self.rotations],
            "entangler": list(self.entangler),
            "topology": list(self.topology),
            "observable": self.observable,
            "pre_layers": list(self.pre_layers),
            "post_layers": list(self.post_layers),
            "learning_rate": self.learning_rate,
        }
        return document if self.template == LAYERED else {**document, "template": self.template}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Returns the genome of `to_json`'s values."""
        return cls.canonical(**document)

    @property
    def values(self) -> Mapping[str, tuple[Any, ...]]:
        """The values of each gene: one, one a layer, or none for a gene without effect. Conditions are held to them."""
        return {
            "qubits": (self.qubits,),
            "layers": (self.layers,),
            "encoding": (self.encoding,),
            "reuploading": (self.reuploading,),
            "template": (self.template,),
            "rotations": self.rotations,
            "entangler": tuple(gate for gate in self.entangler if gate is not None),
            "topology": self.topology,
            "observable": (self.observable,),
            "pre_layers": (self.pre_layers,),
            "post_layers": (self.post_layers,),
            "learning_rate": () if self.learning_rate is None else (self.learning_rate,),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal: the identity of the architecture."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def rounded_rate(rate: float) -> float:
    """Returns a learning rate at six significant digits, so that its text and its value are one."""
    return float(f"{rate:.{_RATE_DIGITS}g}")


def canonical_encoding(encoding: str, n_qubits: int) -> str:
    """Returns the first encoding with the same operations: one qubit has no pairs, so `iqp` is `angle-z` there."""
    return "angle-z" if encoding == "iqp" and n_qubits == 1 else encoding
