"""Expectations of Pauli words: for each flip of bits that occurs among them, one matrix product.

A word acts as (Pψ)(x) = c(x) ψ(x ⊕ f), so ⟨P⟩ = Re Σ_x c(x) ψ*(x) ψ(x ⊕ f). Words of Z alone have f = 0 and share
|ψ|²; in a bundle the words of all circuits stand side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from nas.engines import pauli
from nas.space.layout import PauliWord

#: Amplitudes of one circuit up to which a core simulates circuits side by side: 32 rows of 8 qubits.
FEW_AMPLITUDES: Final = 8_192


@dataclass(frozen=True, slots=True)
class _Flip:
    """The words that flip the same bits: their places among the observables, and their coefficients."""

    source: Tensor | None  #: x ⊕ f, (N,); None for f = 0
    places: Tensor | None  #: (k,), None where the words are all observables in order
    real: Tensor  #: (C, k, N)
    imaginary: Tensor | None  #: (C, k, N); None where f = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """The observables of a bundle; a circuit with fewer has 0 in their places."""

    n_observables: int
    flips: tuple[_Flip, ...]

    @classmethod
    def make(cls, observables: Sequence[tuple[PauliWord, ...]], n_qubits: int, *, device: torch.device) -> Self:
        """Returns the measurement of the observables of each circuit."""
        most = max(len(words) for words in observables)
        by_flip: dict[int, set[int]] = {}
        for words in observables:
            for place, word in enumerate(words):
                by_flip.setdefault(pauli.flip_of(word, n_qubits), set()).add(place)
        index = torch.arange(1 << n_qubits, device=device)
        flips = []
        for flip, found in sorted(by_flip.items()):
            places = sorted(found)
            factors = torch.zeros(len(observables), len(places), 1 << n_qubits, dtype=torch.complex128, device=device)
            for number, words in enumerate(observables):
                for row, place in enumerate(places):
                    if place < len(words) and pauli.flip_of(words[place], n_qubits) == flip:
                        factors[number, row] = pauli.factors_of(words[place], index, n_qubits)
            flips.append(
                _Flip(
                    source=index ^ flip if flip else None,
                    places=None if places == list(range(most)) else torch.tensor(places, device=device),
                    real=factors.real.contiguous(),
                    imaginary=factors.imag.contiguous() if flip else None,
                )
            )
        return cls(most, tuple(flips))

    def expectations(self, states: Tensor) -> Tensor:
        """Returns (C, rows, K), float64, of states (C, rows, N): long sums would lose single precision."""
        total: Tensor | None = None
        for flip in self.flips:
            if flip.source is None or flip.imaginary is None:
                values = _product(torch.view_as_real(states).square().sum(-1), flip.real)
            else:
                overlaps = states.conj() * states.index_select(-1, flip.source)
                values = _product(overlaps.real, flip.real) - _product(overlaps.imag, flip.imaginary)
            if total is None and flip.places is None:
                total = values
                continue
            if total is None:
                total = values.new_zeros(*values.shape[:-1], self.n_observables)
            total = total + values if flip.places is None else total.index_add(-1, flip.places, values)
        return states.real.new_zeros(*states.shape[:-1], 0, dtype=torch.float64) if total is None else total

    def cotangents(self, states: Tensor, by_value: Tensor) -> Tensor:
        """Returns μ = ∂L/∂ψ, with dL = Re Σ μ dψ, for states (C, rows, N) and ∂L/∂⟨O⟩ (C, rows, K)."""
        total: Tensor | None = None
        for flip in self.flips:
            chosen = by_value if flip.places is None else by_value.index_select(-1, flip.places)
            weights = (2.0 * chosen @ flip.real).to(states.real.dtype)
            if flip.source is None or flip.imaginary is None:
                image = weights * states.conj()
            else:
                factors = torch.complex(weights, (-2.0 * chosen @ flip.imaginary).to(weights.dtype))
                image = factors * states.index_select(-1, flip.source).conj()
            total = image if total is None else total + image
        return torch.zeros_like(states) if total is None else total.resolve_conj()


def _product(values: Tensor, table: Tensor) -> Tensor:
    """Returns (C, rows, k) of values (C, rows, N) and a table (C, k, N)."""
    values = values.double()
    if values.shape[1] * values.shape[2] <= FEW_AMPLITUDES:
        # How a matrix product rounds depends on k, and what a circuit gives must not depend on the words of others.
        return (values.unsqueeze(2) * table.unsqueeze(1)).sum(-1)
    return values @ table.mT
