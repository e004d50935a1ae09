"""How large a grid is: the points of a finite space, counted without going through them."""

import math

from nas.spec.genes import NESTED_GENES, choices_of
from nas.spec.space import Space

_NOT_GENES = frozenset({"layers", "per_layer", "forbid"})  #: keys of a space that no factor of the product belongs to


def n_points(space: Space, *, has_training: bool) -> int:
    """Returns the number of points of a finite space, an upper bound on the number of its architectures.

    A gene that may differ from layer to layer counts once for each layer that is there. Without training, the learning
    rate is no gene.

    Raises:
        TypeError: the space has a range of real numbers without `points`.
    """
    n_values = {
        name: len(set(choices_of(getattr(space, name), is_nested=name in NESTED_GENES)))
        for name in type(space).model_fields
        if name not in _NOT_GENES and (has_training or name != "learning_rate")
    }
    per_layer = math.prod(n for name, n in n_values.items() if name in space.per_layer)
    shared = math.prod(n for name, n in n_values.items() if name not in space.per_layer)
    of_layers: int = sum(per_layer**n_layers for n_layers in choices_of(space.layers))
    return shared * of_layers
