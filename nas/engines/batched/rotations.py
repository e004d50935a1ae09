"""From angles to matrices and back: fused on each wire, and Kronecker products over runs of wires.

Slots, wires and blocks stand in front and groups and rows behind, so that the smallest circuit and the longest column
of draws are both a few operations on whole vectors: matrices are (2, 2, n, B, C, G[, R]).

Backward, all that counts of the states around a block is, for each wire, ρ = Tr_others Σ ψ μᵀ behind its rotations,
where dL = Re Σ μ dψ. For U = M_d … M_1 on that wire and dM_j/dh_j = G_j M_j,

    ∂L/∂h_j = Re tr(G_j ρ_j),  ρ_d = ρ,  ρ_{j−1} = M_j† ρ_j M_j
"""

import torch
from torch import Tensor

from nas.engines.batched.program import PhaseTable, RotationTable


def matrices_of(table: RotationTable, angles: Tensor) -> tuple[Tensor, ...]:
    """Returns, in order of time, `depth` tensors (2, 2, n, B, …) complex, of angles (S, …)."""
    a, b, c = table.coefficients
    parts = torch.addcmul(torch.addcmul(a, angles.cos().to(a.dtype), b), angles.sin().to(a.dtype), c)
    entries = torch.complex(parts[0::2], parts[1::2])
    return entries.view(2, 2, table.depth, -1, table.n_blocks, *angles.shape[1:]).unbind(2)


def fused(matrices: tuple[Tensor, ...]) -> Tensor:
    """Returns the products of matrices in order of time, (2, 2, …)."""
    product = matrices[0]
    for later in matrices[1:]:
        product = _product(later, product)
    return product


def _product(left: Tensor, right: Tensor) -> Tensor:
    first = left[:, 0].unsqueeze(1) * right[0]
    return torch.addcmul(first, left[:, 1].unsqueeze(1), right[1])


def product_states(matrices: tuple[Tensor, ...]) -> Tensor:
    """Returns what the products of one block's matrices make of |0…0⟩, (2^n, …)."""
    columns = matrices[0][:, 0, :, 0]
    for later in matrices[1:]:
        columns = torch.addcmul(later[:, 0, :, 0] * columns[0], later[:, 1, :, 0], columns[1])
    states = columns[:, 0]
    for wire in range(1, columns.shape[1]):
        states = (states.unsqueeze(1) * columns[:, wire]).flatten(0, 1)
    return states


def kronecker(matrices: Tensor) -> Tensor:
    """Returns ⊗ U_w, (B, X, 2^k, 2^k), of matrices (2, 2, k, B, …)."""
    product = matrices[:, :, 0]
    for wire in range(1, matrices.shape[2]):
        left = product.unsqueeze(2).unsqueeze(1)
        product = (left * matrices[:, :, wire].unsqueeze(1)).flatten(2, 3).flatten(0, 1)
    return product.flatten(3).permute(2, 3, 0, 1).contiguous()


def angle_gradient(table: RotationTable, matrices: tuple[Tensor, ...], reduced: Tensor) -> Tensor:
    """Returns ∂L/∂h, (S, …) float64, of reduced matrices ρ (2, 2, n, B, …), first index that of ψ."""
    rhos = [reduced]
    for matrix in matrices[:0:-1]:
        adjoint = matrix.transpose(0, 1).conj().resolve_conj()
        rhos.append(_product(adjoint, _product(rhos[-1], matrix)))
    stacked = torch.stack(rhos[::-1], 2).flatten(2, 4).flatten(0, 1)
    return (stacked * table.generators).sum(0).real.double()


def phases_of(table: PhaseTable, angles: Tensor, complex_dtype: torch.dtype) -> Tensor:
    """Returns exp(i Σ h e(x)) of every block, (C, B, …, N) complex, of angles (S, C, …)."""
    n_circuits, n_blocks, n_phases, size = table.eigenvalues.shape
    by_block = angles.to(table.eigenvalues.dtype).reshape(n_blocks, n_phases, n_circuits, -1).permute(2, 0, 3, 1)
    turns = by_block @ table.eigenvalues
    found = torch.complex(turns.cos(), turns.sin()).to(complex_dtype)
    return found.view(n_circuits, n_blocks, *angles.shape[2:], size)


def phase_gradient(table: PhaseTable, overlaps: Tensor) -> Tensor:
    """Returns ∂L/∂h = −Σ_x e(x) Im ψ(x) μ(x), (S, C, …) float64, of overlaps ψμ (C, B, …, N)."""
    n_circuits, n_blocks, _, size = table.eigenvalues.shape
    found = overlaps.imag.reshape(n_circuits, n_blocks, -1, size) @ table.eigenvalues.mT
    return -found.permute(1, 3, 0, 2).reshape(-1, n_circuits, *overlaps.shape[2:-1]).double()
