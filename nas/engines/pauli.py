"""Pauli words on state vectors: a flip of index bits and a phase, (Pψ)(x) = c(x) ψ(x ⊕ f)."""

import torch
from torch import Tensor

from nas.space.layout import PauliWord


def flip_of(word: PauliWord, n_qubits: int) -> int:
    """Returns f, the bits that the word flips."""
    return sum(1 << (n_qubits - 1 - wire) for axis, wire in word if axis in "xy")


def factors_of(word: PauliWord, index: Tensor, n_qubits: int) -> Tensor:
    """Returns c(x), (2^n,), for the index 0 … 2^n − 1: float64, or complex128 with an odd number of Y."""
    n_y = sum(axis == "y" for axis, _ in word)
    # Y = -i |0⟩⟨1| + i |1⟩⟨0|: up to the factor -i of each Y, a sign on the bits of Y and Z.
    return _signs(word, index, n_qubits) * ((-1j) ** n_y if n_y % 2 else (-1) ** (n_y // 2))


def apply_word(word: PauliWord, states: Tensor, n_qubits: int) -> Tensor:
    """Returns P|ψ⟩ for every row of states, (rows, 2^n)."""
    index = torch.arange(1 << n_qubits, device=states.device)
    return states[:, index ^ flip_of(word, n_qubits)] * factors_of(word, index, n_qubits)


def expectations(words: tuple[PauliWord, ...], states: Tensor, n_qubits: int) -> Tensor:
    """Returns ⟨ψ|P_k|ψ⟩, (rows, len(words)), float64, differentiable in the states."""
    if all(axis == "z" for word in words for axis, _ in word):
        index = torch.arange(1 << n_qubits, device=states.device)
        signs = [_signs(word, index, n_qubits) for word in words]
        probabilities = states.real.square() + states.imag.square()
        return probabilities @ torch.stack(signs, 1) if signs else probabilities[:, :0]
    return torch.stack([(states.conj() * apply_word(word, states, n_qubits)).real.sum(1) for word in words], 1)


def _signs(word: PauliWord, index: Tensor, n_qubits: int) -> Tensor:
    """Returns the product over Y and Z wires of +1 where the wire's bit is 0 and -1 where it is 1, (2^n,), float64."""
    signs = torch.ones(index.shape, dtype=torch.float64, device=index.device)
    for axis, wire in word:
        if axis in "yz":
            signs = signs * (1 - 2 * ((index >> (n_qubits - 1 - wire)) & 1))
    return signs
