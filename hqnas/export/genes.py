"""Genes as short texts: one word where all layers agree, `a / b / c` where they differ."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nas.spec.genes import LAYER_GENES, LAYERED

GENES: Final = (
    "qubits",
    "layers",
    "encoding",
    "reuploading",
    "template",
    "rotations",
    "entangler",
    "topology",
    "observable",
    "pre_layers",
    "post_layers",
    "learning_rate",
)


def gene_of(genome: Mapping[str, Any], name: str) -> str:
    """Returns one gene of a genome as text; a genome that names no template is layered."""
    return gene_text(name, genome.get(name, LAYERED) if name == "template" else genome[name])


def gene_text(name: str, value: Any) -> str:
    """Returns one gene as text; numbers keep all their digits, and nothing is `none`.

    Without effect, and so without a value, are a learning rate where nothing is trained, and the genes of layers that
    a template describes.
    """
    if name in LAYER_GENES:
        layers = [_text(layer) for layer in value]
        return layers[0] if len(set(layers)) == 1 else " / ".join(layers)
    if name == "learning_rate" and value is None:
        return ""
    return _text(value)


def architecture(genome: Mapping[str, Any]) -> str:
    """Returns a genome in one line, for tables; `*` marks an encoding before every layer."""
    parts = [
        f"{genome['qubits']}q {genome['layers']}l",
        genome["encoding"] + ("*" if genome["reuploading"] else ""),
        *_layers(genome),
        genome["observable"],
    ]
    parts += [
        f"{word} {_text(genome[gene])}"
        for word, gene in (("pre", "pre_layers"), ("post", "post_layers"))
        if genome[gene]
    ]
    return " · ".join(parts)


def _layers(genome: Mapping[str, Any]) -> list[str]:
    template = gene_of(genome, "template")
    if template != LAYERED:
        return [template]
    rotations, topology = gene_of(genome, "rotations"), gene_of(genome, "topology")
    wiring = "no entangler" if topology == "none" else f"{gene_of(genome, 'entangler')} {topology}"
    return [rotations, wiring]


def _text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(_text(item) for item in value)
    return repr(value) if isinstance(value, float) else str(value)
