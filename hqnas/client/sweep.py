"""A sweep: one spec with a list of training modes, which is one search for each mode.

The modes are searches of their own because what they measure differs: the gradient of a pure circuit, of a hybrid's
loss over its circuit, and of that over all its weights are three quantities, and a front compares within one. The same
genomes are in all of them, with the same seeds, so that searches can be compared genome by genome.
"""

from collections.abc import Mapping
from typing import Any, Final

from hqnas.client.errors import RefusedSpec, SpecProblem

#: Genes of classical layers; a pure circuit has none.
_CLASSICAL: Final = ("pre_layers", "post_layers")


def searches_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the spec of each search of a sweep, in the order of `training.mode`; one for a spec with a single mode.

    The mode is added to the name. Classical layers are left out of the space of `pure-quantum`.

    Raises:
        RefusedSpec: the list of modes is empty, or a mode stands twice.
    """
    training = document.get("training")
    modes = training.get("mode") if isinstance(training, Mapping) else None
    if not isinstance(modes, list):
        return [dict(document)]
    if not modes:
        raise _refused("is empty; give at least one mode")
    if len({str(mode) for mode in modes}) < len(modes):
        raise _refused("a mode stands twice; name each once")
    return [_with_mode(document, mode) for mode in modes]


def _with_mode(document: Mapping[str, Any], mode: Any) -> dict[str, Any]:
    found = {**document, "training": {**document["training"], "mode": mode}}
    if isinstance(document.get("name"), str):
        found["name"] = f"{document['name']}-{mode}"
    space = document.get("space")
    if mode == "pure-quantum" and isinstance(space, Mapping):
        found["space"] = {gene: value for gene, value in space.items() if gene not in _CLASSICAL}
    return found


def _refused(sentence: str) -> RefusedSpec:
    return RefusedSpec((SpecProblem("training.mode", sentence),))
