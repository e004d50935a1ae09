"""Some groups and rows of a call: small enough to be simulated at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nas.circuits import Circuit
from nas.engines.batched import wires
from nas.engines.batched.measurement import Measurement
from nas.engines.batched.program import Program
from nas.engines.batched.simulation import Simulation
from nas.engines.binding import amplitudes_of


@dataclass(frozen=True, slots=True)
class Part:
    """Numbers for a program. Every group has its weights; its rows differ in features alone."""

    program: Program
    circuits: Sequence[Circuit]
    weights: Tensor  #: (C, G or 1, W)
    features: Tensor  #: (C, G or 1, R, F)
    groups: int
    rows: int
    complex_dtype: torch.dtype
    keeps_states: bool = True

    def in_parts(self, run: Callable[["Part"], Tensor], *, most_bytes: int, with_gradient: bool) -> Tensor:
        """Returns (C, groups, rows, width) of `run` on parts that take `most_bytes` each.

        With a gradient, states are kept if all fit at once, else undone backward; and what does not even fit so is
        simulated part by part again when its gradient is due.
        """
        if self.fits(most_bytes, with_gradient=with_gradient):
            return run(self)
        undoing = replace(self, keeps_states=False)
        parts = list(undoing._split(most_bytes))
        if not with_gradient or len(parts) == 1:
            found = [run(part) for part in parts]
        else:
            found = [checkpoint(run, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
        return torch.cat(found, 1 if self.groups > 1 else 2)

    def fits(self, most_bytes: int, *, with_gradient: bool) -> bool:
        """Whether all of it is simulated at once; with a gradient, with its states kept."""
        return self._bytes(keeps_states=with_gradient) <= most_bytes

    def states(self) -> Tensor:
        """Returns the final states, (C, groups, rows, N)."""
        features, prepared = self._inputs()
        is_narrow = self.program.qubits <= wires.WIDEST and self.rows == 1 and prepared is None
        if is_narrow and len(self.circuits) == 1 and self.groups >= wires.FEWEST_GROUPS:
            of_groups = self.weights[0].expand(self.groups, -1), features[0, :, 0]
            return wires.states(self.program, *of_groups, self.complex_dtype)[None, :, None]
        return self._simulation().states(self.weights, features, prepared)

    def expectations(self, measurement: Measurement) -> Tensor:
        """Returns (C, groups, rows, K) float64, differentiable."""
        return self._simulation().expectations(measurement, self.weights, *self._inputs())

    def _simulation(self) -> Simulation:
        return Simulation(self.program, self.complex_dtype, self.keeps_states)

    def _inputs(self) -> tuple[Tensor, Tensor | None]:
        """Returns features with their products, and prepared states, both by ordinary autograd."""
        program, features = self.program, self.features
        prepared = None if program.prepared is None else self._prepared_states(program.prepared)
        if program.products is not None:
            shape = features.shape[:3]
            used = features[..., : program.n_features]
            extended = torch.cat([used, used.new_ones(*shape, 1)], -1)
            index = program.products.flatten(1)[:, None, None].expand(*shape, -1)
            factors = extended.gather(-1, index).view(*shape, *program.products.shape[1:])
            features = torch.cat([used, reduce(torch.mul, factors.unbind(-1))], -1)
        return features, prepared

    def _prepared_states(self, places: Tensor) -> Tensor:
        found = [amplitudes_of(circuit, self.features[i]) for i, circuit in enumerate(self.circuits)]
        amplitudes = torch.stack([one for one in found if one is not None])
        # A last column of zeros, for basis states in which an unprepared wire is 1.
        padded = torch.nn.functional.pad(amplitudes, (0, 1)).to(self.complex_dtype)
        shape = (len(self.circuits), self.groups, self.rows)
        index = places[:, None, None].expand(*shape, -1)
        return padded.expand(*shape, -1).gather(-1, index)

    def _bytes(self, *, keeps_states: bool) -> int:
        rest = self.program.rest
        runs = self.program.first.runs if rest is None else rest.runs
        itemsize = self.complex_dtype.itemsize
        per_group = bytes_per_group(runs, self.program.n_blocks, self.rows, itemsize, keeps_states=keeps_states)
        if rest is not None and rest.phases is not None:
            # Vectors of phases, with the angles that they are made of.
            per_group += 2 * itemsize * rest.n_blocks << self.program.qubits
        return per_group * self.groups * len(self.circuits)

    def _split(self, most_bytes: int) -> Iterator["Part"]:
        n_units = self.groups if self.groups > 1 else self.rows
        step = max(1, n_units * most_bytes // self._bytes(keeps_states=False))
        for start in range(0, n_units, step):
            stop = min(start + step, n_units)
            if self.groups > 1:
                weights = self.weights if self.weights.shape[1] == 1 else self.weights[:, start:stop]
                features = self.features if self.features.shape[1] == 1 else self.features[:, start:stop]
                yield replace(self, weights=weights, features=features, groups=stop - start)
            else:
                yield replace(self, features=self.features[:, :, start:stop], rows=stop - start)


def bytes_per_group(runs: tuple[int, ...], n_blocks: int, rows: int, itemsize: int, *, keeps_states: bool) -> int:
    """Returns about what a group takes: matrices with what autograd keeps of them, angles, and states."""
    qubits = sum(runs)
    matrices = 4 * sum(1 << 2 * k for k in runs) + 24 * qubits
    n_states = 6 + (n_blocks * (len(runs) + 1) if keeps_states else 0)
    return itemsize * (n_blocks * matrices + rows * (24 * qubits + (n_states << qubits)))
