"""Genes as short texts: one word where all layers agree, `a / b / c` where they differ."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

GENES: Final = (
    "qubits",
    "layers",
    "encoding",
    "reuploading",
    "rotations",
    "entangler",
    "topology",
    "observable",
    "pre_layers",
    "post_layers",
    "learning_rate",
)
_PER_LAYER: Final = frozenset({"rotations", "entangler", "topology"})


def gene_text(name: str, value: Any) -> str:
    """Returns one gene as text; numbers keep all their digits, and nothing is `none`."""
    if name in _PER_LAYER:
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
        gene_text("rotations", genome["rotations"]),
        _wiring(genome),
        genome["observable"],
    ]
    parts += [
        f"{word} {_text(genome[gene])}"
        for word, gene in (("pre", "pre_layers"), ("post", "post_layers"))
        if genome[gene]
    ]
    return " · ".join(parts)


def _wiring(genome: Mapping[str, Any]) -> str:
    topology = gene_text("topology", genome["topology"])
    return "no entangler" if topology == "none" else f"{gene_text('entangler', genome['entangler'])} {topology}"


def _text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(_text(item) for item in value)
    return repr(value) if isinstance(value, float) else str(value)
