"""Expectations estimated from a finite number of shots.

Words whose axes agree on the wires that they share are measured together, in one basis: the qubits are rotated so that
its axes become Z, and each shot gives a bit string drawn from |⟨b|ψ⟩|². All words of a basis are read from the same
strings, so that their errors are correlated as on a device. Each basis has the full number of shots. `z-all`, `z-first`
and `zz-pairs` are one basis, `xyz-all` is three.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.circuits import Angle, Circuit, Operation
from nas.engines import Engine
from nas.space.layout import PauliWord

Floats = NDArray[np.float64]

#: Amplitudes that are held at once.
_MOST_AMPLITUDES: Final = 2**22


@dataclass(frozen=True, slots=True)
class Basis:
    """An axis for some wires, and the words that it measures, by their place among the observables."""

    axes: dict[int, str]
    words: tuple[int, ...]

    def rotations(self) -> tuple[Operation, ...]:
        """Returns the gates that turn X and Y into Z: H†ZH = X, and RX(π/2)†Z RX(π/2) = Y."""
        found = []
        for wire, axis in sorted(self.axes.items()):
            if axis == "x":
                found.append(Operation("h", (wire,)))
            elif axis == "y":
                found.append(Operation("rx", (wire,), Angle(scale=pi / 2)))
        return tuple(found)


def bases_of(words: Sequence[PauliWord]) -> list[Basis]:
    """Returns bases that measure all words, each word in the first basis that agrees with it."""
    found: list[Basis] = []
    for place, word in enumerate(words):
        for i, basis in enumerate(found):
            if all(basis.axes.get(wire, axis) == axis for axis, wire in word):
                found[i] = Basis({**basis.axes, **{w: axis for axis, w in word}}, (*basis.words, place))
                break
        else:
            found.append(Basis({wire: axis for axis, wire in word}, (place,)))
    return found


def shot_expectations(
    circuit: Circuit,
    engine: Engine,
    weights: Tensor,
    features: Tensor,
    *,
    n_shots: int,
    n_repetitions: int,
    rng: np.random.Generator,
) -> Tensor:
    """Returns independent estimates of the expectations, (n_repetitions, rows, K), each from `n_shots` a basis.

    An estimate of ⟨P⟩ has the standard error √((1 − ⟨P⟩²)/n_shots). Cost: one run a row and basis, and
    n_repetitions · min(2^n, n_shots) draws a row.

    Args:
        circuit: what to run.
        engine: any; it gives states.
        weights: (n_weights,).
        features: (rows, n_features).
        n_shots: in each basis.
        n_repetitions: estimates.
        rng: of the shots.
    """
    n_rows = len(features)
    found = np.zeros((n_repetitions, n_rows, len(circuit.observables)))
    step = max(1, _MOST_AMPLITUDES >> circuit.qubits)
    for basis in bases_of(circuit.observables):
        rotated = replace(circuit, operations=(*circuit.operations, *basis.rotations()))
        masks = [sum(1 << (circuit.qubits - 1 - wire) for _, wire in circuit.observables[i]) for i in basis.words]
        for start in range(0, n_rows, step):
            states = engine.states(rotated, weights[None, : circuit.n_weights], features[start : start + step])
            rows = slice(start, start + len(states))
            probabilities = states.abs().double().square().numpy()
            probabilities /= probabilities.sum(1, keepdims=True)
            for repetition in range(n_repetitions):
                found[repetition, rows, list(basis.words)] = _estimates(probabilities, masks, n_shots, rng).T
    return torch.from_numpy(found)


def _estimates(probabilities: Floats, masks: Sequence[int], n_shots: int, rng: np.random.Generator) -> Floats:
    """Returns the mean of (−1)^(bits of the mask that are 1) over shots, (rows, masks)."""
    n_strings = probabilities.shape[1]
    if n_strings <= n_shots:
        counts = rng.multinomial(n_shots, probabilities)
        estimates: Floats = counts @ _signs(np.arange(n_strings), masks) / n_shots
        return estimates
    drawn = [
        np.searchsorted(np.cumsum(of_row), rng.random(n_shots)).clip(max=n_strings - 1) for of_row in probabilities
    ]
    found: Floats = np.stack([_signs(strings, masks).mean(0) for strings in drawn])
    return found


def _signs(strings: NDArray[np.int64], masks: Sequence[int]) -> Floats:
    """Returns +1 or −1 by the parity of the masked bits, (strings, masks)."""
    parity = np.bitwise_count(strings[:, None] & np.array(masks, dtype=np.int64)) & 1
    signs: Floats = 1.0 - 2.0 * parity
    return signs
