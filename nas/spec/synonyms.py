"""Names that mean the same wiring on few qubits, and which of them a canonical genome has.

`nas.space` derives this from the wiring itself; here it stands as a table, so that a spec can be checked without it. On
more qubits every name means something of its own.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ON_ONE: Final = {
    "sim-1": ("sim-2", "sim-3", "sim-4", "sim-16", "sim-17", "sim-18", "sim-19"),
    "sim-5": ("sim-6", "sim-7", "sim-8"),
    "sim-11": ("sim-12",),
    "sim-13": ("sim-14", "sim-15"),
    "real-amplitudes": ("sim-10",),
}

#: By gene and number of qubits: the canonical name of each name that has another one there.
SYNONYMS: Final[Mapping[str, Mapping[int, Mapping[str, str]]]] = MappingProxyType(
    {
        "encoding": {1: {"iqp": "angle-z"}},
        "template": {
            1: {name: first for first, others in _ON_ONE.items() for name in others},
            2: {"sim-10": "brickwork", "sim-16": "sim-3", "sim-17": "sim-4"},
        },
        "topology": {
            1: dict.fromkeys(("linear", "ring", "star", "full", "pairwise"), "none"),
            2: dict.fromkeys(("ring", "star", "full", "pairwise"), "linear"),
            3: {"pairwise": "linear"},
        },
        "observable": {1: {"z-first": "z-all", "zz-pairs": "z-all"}},
    }
)

#: Up to so many qubits, two names may mean the same wiring.
FEW_QUBITS: Final = 3


def canonical_name(gene: str, name: str, n_qubits: int) -> str:
    """Returns the name that a canonical genome has for a name of a gene on so many qubits."""
    return SYNONYMS[gene].get(n_qubits, {}).get(name, name)
