"""States of many groups of one narrow circuit, wire by wire, with the groups innermost.

With weights of its own for every state, each 2 × 2 serves one state only: products of tiny matrices would be all
set-up, while a wire's rotation of all groups at once is four fused multiplications of long vectors. Matrices are
(B, n, 2, 2, G) and states (2^n, G) here, and there is no gradient.
"""

from typing import Final

import torch
from torch import Tensor

from nas.engines.batched.program import AngleTable, PhaseTable, Program, RotationTable, Stage

#: Wider states are cheaper by matrix products: a pass over them for every wire is more than their arithmetic.
WIDEST: Final = 6

#: From so many groups on, long vectors outweigh a call for every wire.
FEWEST_GROUPS: Final = 64


def states(program: Program, weights: Tensor, features: Tensor, complex_dtype: torch.dtype) -> Tensor:
    """Returns (G, 2^n) of weights (G, W) and features (G or 1, F), for a program of one circuit without preparation."""
    columns = weights.T.contiguous(), features.T.contiguous()
    state = _product_state(_matrices(program.first.rotations, columns))
    for stage in (program.first, program.rest):
        if stage is None:
            continue
        matrices = None if stage is program.first else _fused(_matrices(stage.rotations, columns))
        phases = None if stage.phases is None else _phases(stage.phases, columns, complex_dtype)
        for block in range(stage.n_blocks):
            if matrices is not None:
                state = _rotate_all(state, matrices[block])
            state = _finish(stage, block, state, phases)
    return state.T.contiguous()


def _angles(table: AngleTable, columns: tuple[Tensor, Tensor]) -> Tensor:
    """Returns (S, G) of columns of weights (W, G) and features (F, G or 1)."""
    found = table.constants.view(-1, 1)
    for read, values in zip((table.by_weight, table.by_feature), columns, strict=True):
        if read is not None:
            found = torch.addcmul(found, values.index_select(0, read.index), read.scales.view(-1, 1))
    return found.expand(-1, columns[0].shape[1])


def _matrices(table: RotationTable, columns: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Returns, in order of time, `depth` tensors (B, n, 2, 2, G)."""
    angles = _angles(table.angles, columns)
    coefficients = torch.stack([part.view(-1, 8) for part in table.coefficients], -1)
    ones = torch.ones_like(angles)
    # A + B cos + C sin as one product: the parts that are 0 cost nothing more.
    parts = coefficients @ torch.stack([ones, angles.cos(), angles.sin()], 1).to(coefficients.dtype)
    entries = torch.complex(parts[:, 0::2], parts[:, 1::2])
    return entries.view(table.depth, table.n_blocks, -1, 2, 2, angles.shape[1]).unbind()


def _fused(matrices: tuple[Tensor, ...]) -> Tensor:
    product = matrices[0]
    for later in matrices[1:]:
        first = later[..., :1, :] * product[..., :1, :, :]
        product = torch.addcmul(first, later[..., 1:, :], product[..., 1:, :, :])
    return product


def _product_state(matrices: tuple[Tensor, ...]) -> Tensor:
    """Returns what one block of matrices makes of |0…0⟩, (2^n, G)."""
    columns = matrices[0][0, :, :, 0]
    for later in matrices[1:]:
        first = later[0, :, :, 0] * columns[:, :1]
        columns = torch.addcmul(first, later[0, :, :, 1], columns[:, 1:])
    state = columns[0]
    for column in columns[1:]:
        state = (state.unsqueeze(1) * column).flatten(0, 1)
    return state


def _rotate_all(state: Tensor, matrices: Tensor) -> Tensor:
    """Returns the state with every wire rotated by its own of (n, 2, 2, G)."""
    for wire, matrix in enumerate(matrices):
        state = _rotate(state, matrix, wire)
    return state


def _rotate(state: Tensor, matrix: Tensor, wire: int) -> Tensor:
    """Returns the state with a wire rotated by (2, 2, G)."""
    halves = state.view(1 << wire, 2, -1, state.shape[-1])
    zero, one = halves.unbind(1)
    rotated = torch.empty_like(halves)
    for row in (0, 1):
        target = rotated[:, row]
        torch.mul(zero, matrix[row, 0], out=target)
        target.addcmul_(one, matrix[row, 1])
    return rotated.view(state.shape)


def _phases(table: PhaseTable, columns: tuple[Tensor, Tensor], complex_dtype: torch.dtype) -> Tensor:
    """Returns (B, N, G)."""
    angles = _angles(table.angles, columns).to(complex_dtype.to_real())
    turns = table.sums(angles.reshape(*table.eigenvalues.shape[:3], -1).mT)[0].mT
    return torch.complex(turns.cos(), turns.sin())


def _finish(stage: Stage, block: int, state: Tensor, phases: Tensor | None) -> Tensor:
    """Returns the state behind phases and permutation of a block."""
    if phases is not None and stage.phases is not None and stage.phases.is_active[block]:
        state = state * phases[block]
    permutations = stage.permutations
    if permutations is not None and permutations.is_active[block]:
        state = state.index_select(0, permutations.index[0, block])
        if permutations.signs is not None:
            state = state * permutations.signs[0, block].unsqueeze(-1)
    return state
