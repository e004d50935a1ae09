"""The engine: from weights and features of a bundle to states and expectations, in parts that fit the memory."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from nas.circuits import AMPLITUDE, Circuit
from nas.engines.base import Engine, EngineInfo, Inputs
from nas.engines.batched.measurement import Measurement
from nas.engines.batched.part import Part, bytes_per_group, runs_of
from nas.engines.batched.program import Program
from nas.engines.batched.schedule import Block, schedule
from nas.errors import EngineUnavailable
from nas.spec.search import Precision

#: What one part of a call may take while its gradient is pending; and without one, where small parts stay in cache.
MAX_BYTES: Final = 192 * 2**20
_CACHED_BYTES: Final = 4 * 2**20

#: Programs of circuits met last: training meets one some hundred times in a row.
_KEPT: Final = 256

_COMPLEX: Final = {"complex64": torch.complex64, "complex128": torch.complex128}
_REAL: Final = {"complex64": torch.float32, "complex128": torch.float64}


class Batched(Engine):
    """Dense states with leading axes for circuits, parameter draws and data; for circuits up to about 12 qubits."""

    def __init__(self, name: str, precision: Precision, device: str = "cpu") -> None:
        super().__init__(name, precision)
        if device == "gpu" and not torch.cuda.is_available():
            raise EngineUnavailable("batched cannot run on a GPU here: torch sees none. Use 'device: cpu'")
        self._device_class = device
        self._device = torch.device("cuda" if device == "gpu" else "cpu")
        self._complex, self._real = _COMPLEX[precision], _REAL[precision]
        # By identity: hashing a circuit costs more than simulating it. The circuits are held, so no id is used twice.
        self._schedules: OrderedDict[int, tuple[Circuit, list[Block]]] = OrderedDict()
        self._prepared: OrderedDict[tuple[int, ...], tuple[Sequence[Circuit], Program, Measurement]] = OrderedDict()

    @property
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""
        return EngineInfo(self.name, self.precision, self._device_class, {"torch": version("torch")})

    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:
        """Returns how many runs fit one part, each a group of its own."""
        runs, n_blocks = runs_of(circuit.qubits, 1), len(self._schedule(circuit))
        n_bytes = bytes_per_group(runs, n_blocks, 1, self._complex.itemsize, keeps_states=with_gradient)
        return max(1, MAX_BYTES // n_bytes)

    def _states(self, circuits: Sequence[Circuit], inputs: Inputs) -> Tensor:
        def run(_: Measurement, part: Part) -> Tensor:
            return part.states()

        return self._by_kind(circuits, inputs, run, 1 << circuits[0].qubits, with_gradient=False)

    def _expectations(self, circuits: Sequence[Circuit], inputs: Inputs) -> Tensor:
        def run(measurement: Measurement, part: Part) -> Tensor:
            return part.expectations(measurement)

        n_observables = max(len(circuit.observables) for circuit in circuits)
        if n_observables == 0:
            return torch.zeros(len(circuits), inputs.groups, inputs.rows, 0, dtype=torch.float64)
        with_gradient = torch.is_grad_enabled() and (inputs.weights.requires_grad or inputs.features.requires_grad)
        return self._by_kind(circuits, inputs, run, n_observables, with_gradient=with_gradient)

    def _by_kind(
        self,
        circuits: Sequence[Circuit],
        inputs: Inputs,
        run: Callable[[Measurement, Part], Tensor],
        width: int,
        *,
        with_gradient: bool,
    ) -> Tensor:
        """Returns (C, groups, rows, width); circuits that are simulated alike go together."""
        weights, features = (values.to(self._device) for values in (inputs.weights, inputs.features))
        kinds = [self._kind(circuit) for circuit in circuits]
        n_bytes = MAX_BYTES if with_gradient else _CACHED_BYTES
        found: list[Tensor] = [weights] * len(circuits)
        for kind in sorted(set(kinds)):
            chosen = [i for i, one in enumerate(kinds) if one == kind]
            members = [circuits[i] for i in chosen]
            program, measurement = self._prepare(members)
            of_kind = (weights, features) if len(chosen) == len(circuits) else (weights[chosen], features[chosen])
            part = Part.make(program, members, *of_kind, inputs.groups, inputs.rows, self._complex)
            values = part.in_parts(partial(run, measurement), most_bytes=n_bytes, with_gradient=with_gradient).cpu()
            if len(chosen) == len(circuits):
                return values.view(len(circuits), inputs.groups, inputs.rows, width)
            padded = pad(values, (0, width - values.shape[-1])).view(-1, inputs.groups, inputs.rows, width)
            for i, one in zip(chosen, padded.unbind(), strict=True):
                found[i] = one
        return torch.stack(found)

    def _kind(self, circuit: Circuit) -> tuple[int, bool]:
        """Returns how many wires are prepared, and whether features come after the first block."""
        n_prepared = next((len(op.wires) for op in circuit.operations[:1] if op.gate == AMPLITUDE), 0)
        return n_prepared, any(block.reads_features() for block in self._schedule(circuit)[1:])

    def _schedule(self, circuit: Circuit) -> list[Block]:
        return _kept(self._schedules, id(circuit), lambda: (circuit, schedule(circuit)))[1]

    def _prepare(self, circuits: Sequence[Circuit]) -> tuple[Program, Measurement]:
        def make() -> tuple[Sequence[Circuit], Program, Measurement]:
            real, device = self._real, self._device
            blocks = [self._schedule(circuit) for circuit in circuits]
            observables = [circuit.observables for circuit in circuits]
            program = Program.make(circuits, blocks, real=real, device=device)
            return circuits, program, Measurement.make(observables, circuits[0].qubits, real=real, device=device)

        return _kept(self._prepared, tuple(map(id, circuits)), make)[1:]


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _kept(cache: OrderedDict[_Key, _Value], key: _Key, make: Callable[[], _Value]) -> _Value:
    """Returns the value of a key, made if it is missing; the oldest makes room."""
    if key not in cache:
        cache[key] = make()
        if len(cache) > _KEPT:
            cache.popitem(last=False)
    return cache[key]
