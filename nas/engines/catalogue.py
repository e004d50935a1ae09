"""Which engines there are, by the name that a spec gives them."""

from collections.abc import Callable
from typing import Final

from nas.engines.base import Engine
from nas.engines.batched import Batched
from nas.engines.default_qubit import DefaultQubit
from nas.engines.lightning import Lightning
from nas.spec.engines import Precision

#: A new engine is one file and one line here.
ENGINES: Final[dict[str, Callable[[str, Precision, str], Engine]]] = {
    "batched": Batched,
    "default.qubit": DefaultQubit,
    "lightning.qubit": Lightning,
    "lightning.gpu": Lightning,
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
