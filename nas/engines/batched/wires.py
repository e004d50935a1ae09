"""States of many groups of one narrow circuit, wire by wire, with the groups innermost.

With weights of its own for every state, each 2 × 2 serves one state only: products of tiny matrices would be all
set-up, while a wire's rotation of all groups at once is four fused multiplications of long vectors. States are
(2^n, G) here, and there is no gradient.
"""

from typing import Final

import torch
from torch import Tensor

from nas.engines.batched.program import Program, Stage
from nas.engines.batched.rotations import fused, matrices_of, phases_of, product_states

#: Wider states are cheaper by matrix products: a pass over them for every wire is more than their arithmetic.
WIDEST: Final = 6

#: From so many groups on, long vectors outweigh a call for every wire.
FEWEST_GROUPS: Final = 64


def states(program: Program, weights: Tensor, features: Tensor, complex_dtype: torch.dtype) -> Tensor:
    """Returns (G, 2^n) of weights (G, W) and features (G or 1, F), for a program of one circuit without preparation."""
    columns = weights.T.contiguous()[:, None], features.T.contiguous()[:, None]
    shape = 1, len(weights)
    angles = program.first.rotations.angles.angles(columns[0][..., None], columns[1][..., None])
    state = product_states(matrices_of(program.first.rotations, angles.expand(-1, *shape, 1))).flatten(1)
    for stage in (program.first, program.rest):
        if stage is None:
            continue
        matrices = None
        if stage is not program.first:
            angles = stage.rotations.angles.angles(*columns).expand(-1, *shape)
            matrices = fused(matrices_of(stage.rotations, angles)).squeeze(-2)
        phases = _phases(stage, columns, shape, complex_dtype)
        for block in range(stage.n_blocks):
            if matrices is not None:
                for wire in range(program.qubits):
                    state = _rotate(state, matrices[:, :, wire, block], wire)
            state = _finish(stage, block, state, phases)
    return state.T


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


def _phases(
    stage: Stage, columns: tuple[Tensor, Tensor], shape: tuple[int, int], complex_dtype: torch.dtype
) -> Tensor | None:
    """Returns (B, N, G)."""
    if stage.phases is None:
        return None
    n_axes = stage.phases.angles.constants.ndim - 2
    angles = stage.phases.angles.angles(*(values if n_axes == 1 else values[..., None] for values in columns))
    return (
        phases_of(stage.phases, angles.expand(-1, *shape, *[1] * (n_axes - 1)), complex_dtype)
        .view(stage.n_blocks, shape[1], -1)
        .mT
    )


def _finish(stage: Stage, block: int, state: Tensor, phases: Tensor | None) -> Tensor:
    """Returns the state behind phases and permutation of a block."""
    if phases is not None and stage.phases is not None and stage.phases.is_active[block]:
        state = state * phases[block]
    permutations = stage.permutations
    if permutations is not None and permutations.is_active[block]:
        state = state.index_select(0, permutations.index[block, 0])
        if permutations.signs is not None:
            state = state * permutations.signs[block, 0].unsqueeze(-1)
    return state
