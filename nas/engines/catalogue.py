"""Which engines there are, by the name that a spec gives them."""

from collections.abc import Callable
from typing import Final

from nas.engines.base import Engine
from nas.engines.batched import Batched
from nas.spec.engines import Precision


# PennyLane takes a second or two of processor time to load. A worker that starts again after a kill is back the sooner
# without it, and most never need it.
def _default_qubit(name: str, precision: Precision, device: str) -> Engine:
    from nas.engines.default_qubit import DefaultQubit

    return DefaultQubit(name, precision, device)


def _lightning(name: str, precision: Precision, device: str) -> Engine:
    from nas.engines.lightning import Lightning

    return Lightning(name, precision, device)


#: A new engine is one file and one line here.
ENGINES: Final[dict[str, Callable[[str, Precision, str], Engine]]] = {
    "batched": Batched,
    "default.qubit": _default_qubit,
    "lightning.qubit": _lightning,
    "lightning.gpu": _lightning,
}


def make_engine(name: str, precision: Precision = "complex128", device: str = "cpu") -> Engine:
    """Returns a new engine, ready to run, whose amplitudes have this precision.

    The class of device, "cpu" or "gpu", is for engines that run on both; the others run where they always do.

    Raises:
        ValueError: there is no engine of this name.
        EngineUnavailable: it cannot run on this machine.
    """
    try:
        engine = ENGINES[name]
    except KeyError:
        raise ValueError(f"there is no engine {name!r}; choose from {', '.join(ENGINES)}") from None
    return engine(name, precision, device)
