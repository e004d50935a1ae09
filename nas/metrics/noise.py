"""Expectations of a circuit on a noisy device, by Pauli trajectories on any engine.

After each gate with k qubits, with the probability that its kind has, one of the 4^k − 1 Pauli words but the identity
acts on its qubits, all with the same probability: the depolarising channel (Nielsen and Chuang 2010, 8.3.4, whose p is
4/3 of ours on one qubit). State preparation of amplitude encoding has no error here. A measured bit is flipped with the
readout probability r, independently, so that ⟨P⟩ of a word on k wires becomes (1 − 2r)^k ⟨P⟩ exactly.

A trajectory is one draw of the Pauli words. An engine runs all of them in one call: the circuit gets an RX and an RZ
behind each gate on each of its wires, whose angles, 0 or π, are weights of their own (RX(π) is X, RZ(π) is Z, and both
are Y, up to a phase). That a run meets no error has the known probability P₀ = Π(1 − p_g); only runs with at least one
are drawn, and ⟨P⟩ = P₀ ⟨P⟩_ideal + (1 − P₀) mean over trajectories.
"""

from dataclasses import dataclass, replace
from math import pi
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.circuits import AMPLITUDE, Angle, Circuit, Operation
from nas.engines import Engine
from nas.spec.settings import NoiseSettings

#: Numbers that one call to an engine gives out at most.
_MOST_VALUES: Final = 2**22

#: Batches of trajectories whose means are kept, for the bootstrap.
MOST_BATCHES: Final = 50


@dataclass(frozen=True, slots=True)
class NoisyCircuit:
    """A circuit with room for errors: the weights behind its own are angles of errors, an RX and an RZ a site.

    A site is a wire of a gate.
    """

    ideal: Circuit
    circuit: Circuit
    sites: NDArray[np.int64]  #: (gates,): wires of each gate
    rates: NDArray[np.float64]  #: (gates,): probability that an error follows

    @classmethod
    def of(cls, ideal: Circuit, settings: NoiseSettings) -> Self:
        """Returns the circuit on a device; gates on more than two qubits have the rate of two."""
        operations: list[Operation] = []
        wires = []
        n_weights = ideal.n_weights
        for operation in ideal.operations:
            operations.append(operation)
            if operation.gate == AMPLITUDE:
                continue
            wires.append(len(operation.wires))
            for wire in operation.wires:
                operations.append(Operation("rx", (wire,), Angle(weight=n_weights)))
                operations.append(Operation("rz", (wire,), Angle(weight=n_weights + 1)))
                n_weights += 2
        sites = np.array(wires, dtype=np.int64)
        rates = np.where(sites == 1, settings.one_qubit, settings.two_qubit)
        return cls(ideal, replace(ideal, operations=tuple(operations)), sites, rates)

    @property
    def ideal_probability(self) -> float:
        """P₀, that no error occurs."""
        return float(np.prod(1.0 - self.rates))

    def draw(self, n_trajectories: int, rng: np.random.Generator) -> Tensor:
        """Returns angles of errors, (n_trajectories, 2 × sites), of runs in which at least one error occurs."""
        before = np.concatenate([[1.0], np.cumprod(1.0 - self.rates)[:-1]])
        firsts = before * self.rates
        first = rng.choice(len(firsts), n_trajectories, p=firsts / firsts.sum())
        gates = np.arange(len(firsts))
        errs = rng.random((n_trajectories, len(gates))) < self.rates
        errs = np.where(gates == first[:, None], True, errs & (gates > first[:, None]))
        # A whole number below 4^k names the Pauli word of a gate, two bits a wire: one for X, one for Z.
        words = np.where(errs, rng.integers(1, 4**self.sites, (n_trajectories, len(gates))), 0)
        bits = np.arange(2 * int(self.sites.max(initial=1)))
        angles = pi * ((words[..., None] >> bits) & 1)
        return torch.from_numpy(angles[:, bits < 2 * self.sites[:, None]])


@dataclass(frozen=True, slots=True)
class NoisyExpectations:
    """Expectations with readout error: of the run without gate errors, and means over batches of those with some."""

    ideal: Tensor  #: (rows, K)
    batches: Tensor  #: (batches, rows, K); none where no gate can err
    sizes: NDArray[np.float64]  #: (batches,): trajectories in each
    ideal_probability: float

    def mean(self, counts: NDArray[np.float64] | None = None) -> Tensor:
        """Returns the estimate of the device's expectations, (rows, K).

        Args:
            counts: (batches,), how often each batch counts; by default once.
        """
        if not len(self.batches):
            return self.ideal
        weights = torch.from_numpy(self.sizes if counts is None else self.sizes * counts)
        noisy: Tensor = torch.tensordot(weights / weights.sum(), self.batches, 1)
        return self.ideal_probability * self.ideal + (1.0 - self.ideal_probability) * noisy


def noisy_expectations(
    circuit: Circuit,
    engine: Engine,
    weights: Tensor,
    features: Tensor,
    settings: NoiseSettings,
    rng: np.random.Generator,
) -> NoisyExpectations:
    """Returns the expectations of a circuit on a noisy device at one vector of weights, for rows of features.

    Cost: `settings.trajectories` × rows runs of a circuit with three times the gates. The standard error of a mean is
    (1 − P₀) sd/√T over trajectories.

    Args:
        circuit: what to run.
        engine: any; all its work is in complex state vectors.
        weights: (n_weights,).
        features: (rows, n_features).
        settings: the device.
        rng: of the trajectories.
    """
    noisy = NoisyCircuit.of(circuit, settings)
    kept = [(1.0 - 2.0 * settings.readout) ** len(word) for word in circuit.observables]
    damping = torch.tensor(kept, dtype=torch.float64)
    with torch.no_grad():
        ideal = engine.expectations(circuit, weights[None, : circuit.n_weights], features) * damping
        if noisy.ideal_probability == 1.0:
            return NoisyExpectations(ideal, torch.zeros(0, *ideal.shape), np.zeros(0), 1.0)
        angles = noisy.draw(settings.trajectories, rng)
        own = weights[: circuit.n_weights].expand(len(angles), -1)
        drawn = torch.cat([own, angles], 1).unsqueeze(1)
        step = max(1, _MOST_VALUES // max(1, ideal.numel()))
        batch_of = torch.arange(len(drawn)) % MOST_BATCHES
        sizes = torch.bincount(batch_of)
        batches = torch.zeros(len(sizes), *ideal.shape, dtype=torch.float64)
        for start in range(0, len(drawn), step):
            found = engine.expectations(noisy.circuit, drawn[start : start + step], features[None])
            batches.index_add_(0, batch_of[start : start + step], found * damping)
    return NoisyExpectations(ideal, batches / sizes[:, None, None], sizes.double().numpy(), noisy.ideal_probability)
