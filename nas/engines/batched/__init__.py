"""The batched engine: thousands of small circuits, each met once, in torch on a CPU or an NVIDIA GPU.

    circuit ──schedule──▶ blocks ──program──▶ index and coefficient tensors ──simulation──▶ states, expectations

    schedule      where each gate goes: blocks of rotations, then diagonal phases, then a signed permutation
    program       the blocks of a bundle of circuits as tensors: structure is data, so nothing is compiled
    rotations     from angles to 2 × 2 matrices, fused on each wire, and their Kronecker products
    chain         blocks on states, forward and backward, with stored states or with O(1) of them
    measurement   expectations of Pauli words as one matrix product for each flip of bits
    engine        the `Engine`: shapes, memory, parts

A group is what shares its weights: one candidate, or one draw of its parameters. Rows of a group differ in their
features. States are (groups, rows, 2^n); wire 0 is the most significant bit.
"""

from nas.engines.batched.engine import Batched

__all__ = ["Batched"]
