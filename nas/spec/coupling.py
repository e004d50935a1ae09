"""Coupling maps as a spec names them: which pairs of wires of a device a gate may act on."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, StrictInt, Tag
from pydantic_core import PydanticCustomError

from nas.spec import limits

CouplingName = Literal["line", "ring", "grid", "heavy-hex"]

Wire = Annotated[StrictInt, Field(ge=0, lt=limits.MAX_COUPLED_WIRES)]
Edge = tuple[Wire, Wire]


def _connected(edges: list[Edge]) -> list[Edge]:
    for a, b in edges:
        if a == b:
            raise PydanticCustomError(
                "coupling_map", "wire {wire} is coupled with itself; remove the pair", {"wire": a}
            )
    nodes = {wire for edge in edges for wire in edge}
    reached, found = {min(nodes)}, {min(nodes)}
    while found:
        found = {wire for edge in edges if found & set(edge) for wire in edge} - reached
        reached |= found
    if reached != nodes:
        raise PydanticCustomError(
            "coupling_map",
            "no path leads from wire {wire} to wire {other}; couple them, or remove the part that is apart",
            {"wire": min(nodes), "other": min(nodes - reached)},
        )
    return edges


#: Pairs of wires, in any direction; all are connected.
EdgeList = Annotated[
    list[Edge], Field(min_length=1, max_length=limits.MAX_COUPLED_WIRES**2 // 2), AfterValidator(_connected)
]


def _kind(value: Any) -> str:
    return "choices" if isinstance(value, list | tuple) else "fixed"


#: A name, which makes a map as large as the circuit (heavy-hex: the smallest lattice that holds it), or the pairs.
CouplingMap = Annotated[
    Annotated[CouplingName, Tag("fixed")] | Annotated[EdgeList, Tag("choices")], Discriminator(_kind)
]


def n_wires(edges: list[Edge]) -> int:
    """Returns how many wires a device with these couplings has."""
    return len({wire for edge in edges for wire in edge})
