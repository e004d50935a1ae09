"""Who takes part: hqnas's engines, PennyLane's scripts, and the peers that can be imported here."""

import importlib
from typing import Final

from benchmarks.contenders.base import Contender
from benchmarks.contenders.engines import EngineContender
from benchmarks.contenders.pennylane import BroadcastScript, RowScript

#: Names as they stand in tables.
BATCHED: Final = ("batched complex64", "batched complex128")
DEFAULT_ENGINE: Final = "default.qubit engine"
DEFAULT_SCRIPT: Final = "default.qubit script"
LIGHTNING_ENGINE: Final = "lightning.qubit engine"
LIGHTNING_SCRIPT: Final = "lightning.qubit script"

#: Peers by module: class, and name and precision of each entry.
_PEERS: Final = {
    "pyqtorch": ("PyQTorch", (("pyqtorch", "complex128"),)),
    "tensorcircuit": (
        "TensorCircuit",
        (("tensorcircuit-ng complex64", "complex64"), ("tensorcircuit-ng complex128", "complex128")),
    ),
    "qulacs": ("Qulacs", (("qulacs", "complex128"),)),
}


def find_contenders(*, with_peers: bool = True) -> tuple[list[Contender], list[str]]:
    """Returns who takes part, the reference first, and a sentence for each that cannot."""
    found: list[Contender] = [
        EngineContender(LIGHTNING_ENGINE, "lightning.qubit", "complex128"),
        EngineContender(DEFAULT_ENGINE, "default.qubit", "complex128"),
    ]
    absences = []
    found += [
        *(EngineContender(name, "batched", name.split()[1]) for name in BATCHED),
        BroadcastScript(DEFAULT_SCRIPT, "complex128"),
        RowScript(LIGHTNING_SCRIPT, "complex128"),
    ]
    for module, (class_name, entries) in _PEERS.items() if with_peers else ():
        try:
            peer = getattr(importlib.import_module(f"benchmarks.contenders.{module}"), class_name)
        except ImportError as error:
            absences.append(f"{module} is left out, since it cannot be imported here: {error}.")
            continue
        found += [peer(name, precision) for name, precision in entries]
    return found, absences
