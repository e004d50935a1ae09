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
from nas.engines import memory
from nas.engines.base import Engine, EngineInfo, Inputs
from nas.engines.batched.measurement import FEW_AMPLITUDES, Measurement
from nas.engines.batched.part import Part
from nas.engines.batched.program import Program, table_bytes
from nas.engines.batched.schedule import Schedule, schedule
from nas.errors import EngineUnavailable
from nas.spec.engines import Precision

#: What one part of a call may take while its gradient is pending; and without one, where small parts stay in cache.
MAX_BYTES: Final = 192 * 2**20
_CACHED_BYTES: Final = 16 * 2**20

#: States that a gradient of one run takes about, whatever the circuit.
_STATES_OF_A_GRADIENT: Final = 64

#: Torch multiplies so many amplitudes at a time, and rounds those that are left over at the end of a tensor otherwise:
#: a circuit beside others is to have none of its own.
_VECTOR: Final = 8

#: Amplitudes of the circuits met last whose programs are kept: training meets one some hundred times in a row.
_KEPT_AMPLITUDES: Final = 8_192

_COMPLEX: Final = {"complex64": torch.complex64, "complex128": torch.complex128}


class Batched(Engine):
    """Dense states with leading axes for circuits, parameter draws and data; for circuits up to about 12 qubits."""

    def __init__(self, name: str, precision: Precision, device: str = "cpu") -> None:
        super().__init__(name, precision, device)
        if device == "gpu" and not torch.cuda.is_available():
            raise EngineUnavailable("batched cannot run on a GPU here: torch sees none. Use 'device: cpu'")
        self._device = torch.device("cuda" if device == "gpu" else "cpu")
        self._complex = _COMPLEX[precision]
        # By identity: hashing a circuit costs more than simulating it. The circuits are held, so no id is used twice.
        self._schedules: OrderedDict[tuple[int, bool], tuple[Circuit, Schedule]] = OrderedDict()
        self._prepared: OrderedDict[tuple[int, ...], tuple[Sequence[Circuit], Program, Measurement]] = OrderedDict()

    @property
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""
        return EngineInfo(self.name, self.precision, self.device_class, {"torch": version("torch")})

    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:
        """Returns how many runs fit one part, each a group of its own."""
        # By width alone: the sizes of batches, and so the last digits, must not depend on what else is in a bundle.
        n_bytes = MAX_BYTES // _STATES_OF_A_GRADIENT if with_gradient else _CACHED_BYTES
        return max(1, n_bytes // (self._complex.itemsize << circuit.qubits))

    def _states(self, circuits: Sequence[Circuit], inputs: Inputs) -> Tensor:
        def run(members: Sequence[Circuit], of_members: Inputs) -> Tensor:
            part, _ = self._part(members, of_members)
            return part.in_parts(Part.states, most_bytes=_CACHED_BYTES, with_gradient=False)

        # Many draws of one circuit are arithmetic enough for a core.
        apart = [[i] for i in range(len(circuits))]
        partition = apart if self._device.type == "cpu" else self._by_kind(circuits)
        return self._partwise(circuits, inputs, partition, run, 1 << circuits[0].qubits)

    def _expectations(self, circuits: Sequence[Circuit], inputs: Inputs) -> Tensor:
        n_observables = max(len(circuit.observables) for circuit in circuits)
        if n_observables == 0:
            return torch.zeros(len(circuits), inputs.groups, inputs.rows, 0, dtype=torch.float64)
        with_gradient = torch.is_grad_enabled() and (inputs.weights.requires_grad or inputs.features.requires_grad)
        most_bytes = MAX_BYTES if with_gradient else _CACHED_BYTES

        def run(members: Sequence[Circuit], of_members: Inputs) -> Tensor:
            part, measurement = self._part(members, of_members)
            measure = partial(Part.expectations, measurement=measurement)
            return part.in_parts(measure, most_bytes=most_bytes, with_gradient=with_gradient)

        # A core gains where calls outweigh arithmetic: on batches of data, not on draws of weights.
        n_amplitudes = inputs.rows << circuits[0].qubits
        is_small = inputs.groups == 1 and n_amplitudes <= FEW_AMPLITUDES and n_amplitudes % _VECTOR == 0
        is_apart = self._device.type == "cpu" and not is_small
        partition = [[i] for i in range(len(circuits))] if is_apart else self._by_kind(circuits)
        if self._device.type == "cpu":
            # Whether a member is split, and what of it is kept, must not depend on the others: what fits not is apart.
            found = ((members, self._members(circuits, inputs, members)) for members in partition)
            sets = [
                [members]
                if len(members) == 1 or self._part(*one)[0].fits(most_bytes, with_gradient=with_gradient)
                else [[i] for i in members]
                for members, one in found
            ]
            partition = [members for of_kind in sets for members in of_kind]
        return self._partwise(circuits, inputs, partition, run, n_observables)

    @staticmethod
    def _members(circuits: Sequence[Circuit], inputs: Inputs, members: list[int]) -> tuple[Sequence[Circuit], Inputs]:
        if len(members) == len(circuits):
            return circuits, inputs
        return [circuits[i] for i in members], inputs.of(members)

    def _partwise(
        self,
        circuits: Sequence[Circuit],
        inputs: Inputs,
        partition: list[list[int]],
        run: Callable[[Sequence[Circuit], Inputs], Tensor],
        width: int,
    ) -> Tensor:
        """Returns (C, groups, rows, width) of `run` on each set of members."""
        inputs = inputs.to(self._device)
        shape = inputs.groups, inputs.rows
        if len(partition) == 1:
            return run(circuits, inputs).cpu().reshape(len(circuits), *shape, width)
        found: dict[int, Tensor] = {}
        for members in partition:
            values = run(*self._members(circuits, inputs, members)).reshape(len(members), *shape, -1)
            found |= zip(members, pad(values, (0, width - values.shape[-1])), strict=True)
        return torch.stack([found[i] for i in range(len(circuits))]).cpu()

    def _part(self, circuits: Sequence[Circuit], inputs: Inputs) -> tuple[Part, Measurement]:
        """Returns all of a call, with programs of circuits of one kind."""
        weights, features, groups, rows = inputs.weights, inputs.features, inputs.groups, inputs.rows
        if rows > 1 and self._schedule(circuits[0]).reads_features_late:
            # Rows share nothing behind the first block: each is a group of its own.
            if groups > 1:
                weights = weights[:, :, None].expand(-1, groups, rows, -1).flatten(1, 2)
            features = features.expand(-1, groups, rows, -1).flatten(1, 2)[:, :, None]
            groups, rows = groups * rows, 1
        program, measurement = self._prepare(circuits, has_rows=rows > 1)
        return Part(program, circuits, weights, features, groups, rows, self._complex), measurement

    def _by_kind(self, circuits: Sequence[Circuit]) -> list[list[int]]:
        """Returns sets of circuits that are simulated alike."""
        found: dict[tuple[int, bool], list[int]] = {}
        for i, circuit in enumerate(circuits):
            found.setdefault(self._kind(circuit), []).append(i)
        return list(found.values())

    def _kind(self, circuit: Circuit) -> tuple[int, bool]:
        """Returns how many wires are prepared, and whether features come after the first block."""
        first = circuit.operations[:1]
        n_prepared = len(first[0].wires) if first and first[0].gate == AMPLITUDE else 0
        return n_prepared, self._schedule(circuit).reads_features_late

    def _schedule(self, circuit: Circuit, *, has_rows: bool = False) -> Schedule:
        key = id(circuit), has_rows
        made = _kept(
            self._schedules, key, lambda: (circuit, schedule(circuit, sets_encoding_apart=has_rows)), circuit.qubits
        )
        return made[1]

    def _prepare(self, circuits: Sequence[Circuit], *, has_rows: bool) -> tuple[Program, Measurement]:
        def make() -> tuple[Sequence[Circuit], Program, Measurement]:
            schedules = [self._schedule(circuit, has_rows=has_rows) for circuit in circuits]
            n_bytes = table_bytes([one.blocks for one in schedules], circuits[0].qubits)
            if n_bytes > MAX_BYTES:
                free = memory.gpu_memory() if self._device.type == "cuda" else memory.host_memory()
                n_blocks = max(len(one.blocks) for one in schedules)
                purpose = f"batched, for {n_blocks:,} blocks on {circuits[0].qubits} qubits,"
                memory.require(n_bytes, free, purpose=purpose)
            observables = [circuit.observables for circuit in circuits]
            measurement = Measurement.make(observables, circuits[0].qubits, device=self._device)
            program = Program.make(
                circuits,
                [one.blocks for one in schedules],
                has_rows=has_rows,
                real=self._complex.to_real(),
                device=self._device,
            )
            return circuits, program, measurement

        return _kept(self._prepared, (*map(id, circuits), has_rows), make, circuits[0].qubits)[1:]


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _kept(cache: OrderedDict[_Key, _Value], key: _Key, make: Callable[[], _Value], qubits: int) -> _Value:
    """Returns the value of a key, made if it is missing; the oldest make room, and more of them for wide circuits."""
    if key not in cache:
        cache[key] = make()
        while len(cache) > max(2, _KEPT_AMPLITUDES >> qubits):
            cache.popitem(last=False)
    return cache[key]
