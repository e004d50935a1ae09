"""Blocks on states, forward and backward, without autograd.

States are (X, R, N): X groups of R rows. A run of k wires is rotated by one matrix product with the Kronecker product
of its 2 × 2; a single run is a dense matrix that also holds phases and permutation. With dL = Re Σ μ dψ, a matrix M
sends μ to Mᵀμ, so nothing is conjugated on the way, and all that is needed of a block is ψ and μ behind its rotations.

The states are those of the forward pass, kept, or the final state undone block by block (Jones and Gacon 2020,
arXiv 2009.02823), in which case the number of states held does not grow with depth.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from nas.engines.batched.program import Permutations, Stage

#: States of so many bytes are reduced together: few calls where they are small, little memory where they are not.
_TOGETHER_BYTES: Final = 4 * 2**20

#: Up to so many products of matrices, adding them up costs less than putting their factors side by side.
_FEW_PRODUCTS: Final = 64


class Chain:
    """Blocks with their numbers.

    Args:
        stage: what the blocks are.
        n_circuits: C, of which X is a multiple.
        matrices: for each run of k wires, (X, B, 2^k, 2^k).
        phases: (X, B, N), where any block has them.
    """

    def __init__(self, stage: Stage, n_circuits: int, matrices: Sequence[Tensor], phases: Tensor | None) -> None:
        self._stage = stage
        self._n_circuits = n_circuits
        self._phases = phases
        self._matrices = [self._folded(matrices[0])] if stage.is_dense else list(matrices)
        self._forward = [stack.mT.unbind(1) for stack in self._matrices]
        self._backward = [stack.unbind(1) for stack in self._matrices]
        self._undo: list[tuple[Tensor, ...]] | None = None

    def run(self, states: Tensor, *, keep: list[Tensor] | None = None) -> Tensor:
        """Returns the states behind all blocks; those behind the rotations of each are appended to `keep`."""
        for block in range(self._stage.n_blocks):
            states = self._rotate(self._forward, block, states)
            if keep is not None:
                keep.append(states)
            states = self._finish(block, states)
        return states

    def pull_back(
        self, states: Tensor, cotangent: Tensor, kept: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Returns, of the states behind all blocks and their μ, what the gradients need.

        Without `kept` states, they are undone; `kept` is used up.

        Returns:
            μ before the first of the blocks; for each run of k wires Σ ψ μᵀ, (X, B, 2^k, 2^k); and where there are
            phases, Σ ψμ, (X, B, N).
        """
        pairs: list[tuple[Tensor, Tensor]] = []
        found: list[tuple[list[Tensor], Tensor | None]] = []
        n_together = max(1, _TOGETHER_BYTES // (states.nelement() * states.itemsize))
        for block in reversed(range(self._stage.n_blocks)):
            cotangent = self._unfinish(block, cotangent)
            states = kept.pop() if kept is not None else self._unfinish(block, states, conjugated=True)
            pairs.append((states, cotangent))
            if len(pairs) == n_together or block == 0:
                found.append(self._reduced(pairs[::-1], block))
                pairs.clear()
            cotangent = self._rotate(self._backward, block, cotangent)
            if kept is None:
                states = self._rotate(self._adjoint(), block, states)
        found.reverse()
        if len(found) == 1:
            return cotangent, *found[0]
        by_run = [torch.cat([one[number] for one, _ in found], 1) for number in range(len(self._stage.runs))]
        overlaps = [one for _, one in found if one is not None]
        return cotangent, by_run, torch.cat(overlaps, 1) if overlaps else None

    def _rotate(self, transposed: Sequence[tuple[Tensor, ...]], block: int, states: Tensor) -> Tensor:
        """Returns Mψ for matrices that are given as their transposes."""
        if self._stage.is_dense:
            return torch.bmm(states, transposed[0][block])
        for number, is_rotated in enumerate(self._stage.is_rotated[block]):
            if not is_rotated:
                continue
            matrix, view = transposed[number][block], _view(self._stage.runs, states, number)
            if view.shape[-1] == 1:
                states = torch.bmm(view.squeeze(-1), matrix).view(states.shape)
            elif view.shape[1] == 1:
                states = torch.bmm(matrix.mT, view.squeeze(1)).view(states.shape)
            else:
                states = torch.matmul(matrix.mT.unsqueeze(1), view).view(states.shape)
        return states

    def _adjoint(self) -> list[tuple[Tensor, ...]]:
        if self._undo is None:
            self._undo = [stack.conj().resolve_conj().unbind(1) for stack in self._matrices]
        return self._undo

    def _has_phases(self, block: int) -> bool:
        return self._stage.phases is not None and bool(self._stage.phases.is_active[block])

    def _finish(self, block: int, states: Tensor) -> Tensor:
        """Returns states behind phases and permutation of a block, which dense matrices hold already."""
        if self._stage.is_dense:
            return states
        if self._phases is not None and self._has_phases(block):
            states = states * self._phases[:, block, None]
        if self._stage.permutations is not None and self._stage.permutations.is_active[block]:
            states = permute(self._stage.permutations, block, states, self._n_circuits)
        return states

    def _unfinish(self, block: int, states: Tensor, *, conjugated: bool = False) -> Tensor:
        """Returns the transpose of `_finish` on a cotangent, or its inverse on states."""
        if self._stage.is_dense:
            return states
        if self._stage.permutations is not None and self._stage.permutations.is_active[block]:
            states = permute_back(self._stage.permutations, block, states, self._n_circuits)
        if self._phases is not None and self._has_phases(block):
            phases = self._phases[:, block, None]
            states = states * (phases.conj() if conjugated else phases)
        return states

    def _reduced(self, pairs: list[tuple[Tensor, Tensor]], first: int) -> tuple[list[Tensor], Tensor | None]:
        """Returns, of ψ and μ of consecutive blocks, Σ ψ μᵀ for each run of wires, and Σ ψμ where there are phases."""
        states, cotangents = (
            side[0].unsqueeze(1) if len(side) == 1 else torch.stack(side, 1) for side in zip(*pairs, strict=True)
        )
        if self._stage.is_dense:
            gamma = self._unfolded(reduced(self._stage.runs, states, cotangents, 0), first)
            return [gamma], None if self._phases is None else gamma.diagonal(dim1=-2, dim2=-1)
        overlaps = None if self._phases is None else (states * cotangents).sum(2)
        return [reduced(self._stage.runs, states, cotangents, run) for run in range(len(self._stage.runs))], overlaps

    def _folded(self, matrices: Tensor) -> Tensor:
        """Returns dense matrices with phases and permutation behind them."""
        if self._phases is not None:
            matrices = matrices * self._phases.unsqueeze(-1)
        permutations = self._stage.permutations
        if permutations is None:
            return matrices
        grouped = matrices.view(self._n_circuits, -1, *matrices.shape[1:])
        moved = grouped.gather(-2, permutations.index[:, None, ..., None].expand(grouped.shape))
        if permutations.signs is not None:
            moved = moved * permutations.signs[:, None, ..., None]
        return moved.view(matrices.shape)

    def _unfolded(self, gamma: Tensor, first: int) -> Tensor:
        """Returns Σ ψ μᵀ, (X, B, N, N), before the phases and permutations that dense matrices hold."""
        blocks = slice(first, first + gamma.shape[1])
        permutations = self._stage.permutations
        if permutations is not None and permutations.pairs is not None:
            flat = gamma.view(self._n_circuits, -1, gamma.shape[1], gamma.shape[2] * gamma.shape[3])
            moved = flat.gather(-1, permutations.pairs[:, None, blocks].expand(flat.shape))
            if permutations.pair_signs is not None:
                moved = moved * permutations.pair_signs[:, None, blocks]
            gamma = moved.view(gamma.shape)
        if self._phases is not None:
            phases = self._phases[:, blocks]
            gamma = gamma * phases.conj().unsqueeze(-1) * phases.unsqueeze(-2)
        return gamma


def reduced(runs: tuple[int, ...], states: Tensor, cotangents: Tensor, number: int) -> Tensor:
    """Returns Σ ψ μᵀ over rows and all wires but those of a run, (X, B, 2^k, 2^k), of (X, B, R, N)."""
    left, right = (_view(runs, side.flatten(0, 1), number) for side in (states, cotangents))
    if left.shape[-1] == 1:
        product = torch.bmm(left.squeeze(-1).mT, right.squeeze(-1))
    elif left.shape[1] <= _FEW_PRODUCTS:
        product = (left @ right.mT).sum(1)
    else:
        product = torch.bmm(left.transpose(1, 2).flatten(2), right.transpose(1, 2).flatten(2).mT)
    return product.view(*states.shape[:2], *product.shape[1:])


def _view(runs: tuple[int, ...], states: Tensor, number: int) -> Tensor:
    """Returns states (X, R, N) as (X, R · 2^left, 2^k, 2^right) for the run of k wires."""
    return states.view(states.shape[0], -1, 1 << runs[number], 1 << sum(runs[number + 1 :]))


def permute(permutations: Permutations, block: int, states: Tensor, n_circuits: int) -> Tensor:
    """Returns signs · ψ[index] for states (X, R, N) of one block."""
    flat = states.view(n_circuits, -1, states.shape[-1])
    moved = flat.gather(-1, permutations.index[:, block, None].expand(flat.shape))
    if permutations.signs is not None:
        moved = moved * permutations.signs[:, block, None]
    return moved.view(states.shape)


def permute_back(permutations: Permutations, block: int, states: Tensor, n_circuits: int) -> Tensor:
    """Returns the transpose of `permute`, which is its inverse."""
    flat = states.view(n_circuits, -1, states.shape[-1])
    if permutations.signs is not None:
        flat = flat * permutations.signs[:, block, None]
    return flat.gather(-1, permutations.inverse[:, block, None].expand(flat.shape)).view(states.shape)
