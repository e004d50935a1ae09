"""From angles to matrices and back: fused on each wire, and Kronecker products over runs of wires.

Backward, all that counts of the states around a block is, for each wire, ρ = Tr_others Σ ψ μᵀ behind its rotations,
where dL = Re Σ μ dψ. For U = M_d … M_1 on that wire and dM_j/dh_j = G_j M_j,

    ∂L/∂h_j = Re tr(G_j ρ_j),  ρ_d = ρ,  ρ_{j−1} = M_j† ρ_j M_j
"""

import torch
from torch import Tensor

from nas.engines.batched.program import PhaseTable, RotationTable


def matrices_of(table: RotationTable, angles: Tensor) -> tuple[Tensor, ...]:
    """Returns, in order of time, `depth` tensors (C, …, B, n, 2, 2) complex, of angles (C, …, S)."""
    a, b, c = table.coefficients
    cosines, sines = angles.cos().to(a.dtype).unsqueeze(-1), angles.sin().to(a.dtype).unsqueeze(-1)
    parts = torch.addcmul(torch.addcmul(a, cosines, b), sines, c)
    shape = (*angles.shape[:-1], table.depth, table.n_blocks, -1, 2, 2, 2)
    return torch.view_as_complex(parts.view(shape)).unbind(-5)


def fused(matrices: tuple[Tensor, ...]) -> Tensor:
    """Returns the products of matrices in order of time, (…, 2, 2)."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = matrix @ product
    return product


def fused_columns(matrices: tuple[Tensor, ...]) -> Tensor:
    """Returns what the products make of |0⟩, (…, 2)."""
    column = matrices[0][..., 0]
    for matrix in matrices[1:]:
        column = (matrix * column.unsqueeze(-2)).sum(-1)
    return column


def angle_gradient(table: RotationTable, matrices: tuple[Tensor, ...], reduced: Tensor) -> Tensor:
    """Returns ∂L/∂h, (C, …, S) float64, of reduced matrices ρ (C, …, B, n, 2, 2), first index that of ψ."""
    rhos = [reduced]
    for matrix in matrices[:0:-1]:
        rhos.append(matrix.mH @ (rhos[-1] @ matrix))
    stacked = reduced if len(rhos) == 1 else torch.stack(rhos[::-1], -5)
    parts = torch.view_as_real(stacked).view(*reduced.shape[:-4], -1, 8)
    return (parts * table.generators).sum(-1).double()


def product_states(columns: Tensor) -> Tensor:
    """Returns ⊗ u_w, (…, 2^n), of vectors (…, n, 2), by halves."""
    n_wires = columns.shape[-2]
    if n_wires == 1:
        return columns.squeeze(-2)
    if n_wires % 2 == 0:
        # Both halves in one go.
        left, right = product_states(columns.view(*columns.shape[:-2], 2, n_wires // 2, 2)).unbind(-2)
    else:
        left, right = (product_states(half) for half in columns.tensor_split([n_wires // 2], -2))
    return (left.unsqueeze(-1) * right.unsqueeze(-2)).flatten(-2)


def kronecker(matrices: Tensor) -> Tensor:
    """Returns ⊗ U_w, (…, 2^k, 2^k), of matrices (…, k, 2, 2), by halves."""
    n_wires = matrices.shape[-3]
    if n_wires == 1:
        return matrices.squeeze(-3)
    if n_wires % 2 == 0:
        # Both halves in one go.
        halves = kronecker(matrices.view(*matrices.shape[:-3], 2, n_wires // 2, 2, 2))
        left, right = halves.unbind(-3)
    else:
        left, right = (kronecker(half) for half in matrices.tensor_split([n_wires // 2], -3))
    product = left.unsqueeze(-1).unsqueeze(-3) * right.unsqueeze(-2).unsqueeze(-4)
    return product.reshape(*matrices.shape[:-3], 1 << n_wires, 1 << n_wires)


def phases_of(table: PhaseTable, angles: Tensor, complex_dtype: torch.dtype) -> Tensor:
    """Returns exp(i Σ h e(x)) of every block, (C, …, B, N) complex, of angles (C, …, S)."""
    n_circuits, n_blocks, n_phases, size = table.eigenvalues.shape
    rows = angles.to(complex_dtype.to_real()).reshape(n_circuits, -1, n_blocks, n_phases).transpose(1, 2)
    turns = table.sums(rows).transpose(1, 2).reshape(*angles.shape[:-1], n_blocks, size)
    return torch.complex(turns.cos(), turns.sin())


def phase_gradient(table: PhaseTable, overlaps: Tensor) -> Tensor:
    """Returns ∂L/∂h = −Σ_x e(x) Im ψ(x) μ(x), (C, …, S) float64, of overlaps ψμ (C, …, B, N)."""
    n_circuits, n_blocks, n_phases, size = table.eigenvalues.shape
    rows = overlaps.imag.reshape(n_circuits, -1, n_blocks, size).transpose(1, 2)
    found = table.projections(rows).transpose(1, 2)
    return -found.reshape(*overlaps.shape[:-2], n_blocks * n_phases).double()
