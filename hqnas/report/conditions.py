"""What a metric is of in a search. Two searches compare in it, and share a statistic, only where that is the same.

A name is not all of a metric: `gradient_variance` is of another cost in each training mode, `expressibility` of the
estimator that was asked for, `validation_accuracy` of the rows of its data set. Sample sizes, epochs and seeds are left
out: they change how well a value is known, or what a training comes to, and not what is measured.
"""

from collections.abc import Mapping
from typing import Any, Final

from nas.spec import METRICS, Needs
from nas.spec.datasets import DATASETS

Spec = Mapping[str, Any]  #: as the API gives it, defaults filled in

_COSTS: Final = {
    "pure-quantum": "an expectation of the circuit alone",
    "quantum-only": "the loss by circuit weights",
    "full-hybrid": "the loss by all parameters",
}
_OF_MODE: Final = frozenset({"gradient_variance", "dead_parameters"})
_OF_LOSS: Final = frozenset({"gradient_variance_quantum", "gradient_variance_hybrid"})

#: Settings that change what is measured, by their block of `metrics`.
_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "expressibility": ("estimator", "bins"),
    "frame_potential": ("order",),
    "routing": ("coupling_map",),
    "error_rates": ("one_qubit", "two_qubit", "readout"),
    "shots_for_gradient": ("error",),
    "noise": ("one_qubit", "two_qubit", "readout"),
}


def conditions_of(metric: str, spec: Spec) -> str:
    """Returns in words what a metric of this name is of in a search; empty where the name says all."""
    info = METRICS.get(metric)
    if info is None:
        return ""
    mode, settings = str(spec["training"]["mode"]), spec.get("metrics") or {}
    is_of_loss = metric in _OF_LOSS or (metric in _OF_MODE and mode != "pure-quantum")
    parts = [f"of {_COSTS[mode]}"] if metric in _OF_MODE and mode in _COSTS else []
    if is_of_loss or info.needs is Needs.TRAINING:
        parts.append(f"on {data_of(spec)}")
    if is_of_loss:
        parts.append(f"in batches of {(settings.get('gradient_variance') or {}).get('batch_size', 16)}")
        parts += ["classes weighted"] if spec["training"].get("class_weights", "none") != "none" else []
    block = settings.get(info.settings or metric)
    if isinstance(block, Mapping):
        names = _SETTINGS.get(info.settings or metric, ())
        parts += [f"{name.replace('_', ' ')} {block[name]}" for name in names if name in block]
    elif info.settings == "shots":
        parts.append(f"{block} shots")
    return ", ".join(parts)


def data_of(spec: Spec) -> str:
    """Returns which rows a search learns from, in words that are the same for the same rows."""
    dataset = spec["dataset"]
    info = DATASETS.get(dataset["name"])
    sizes = [dataset.get("samples") or (info and info.n_samples), dataset.get("features") or (info and info.n_features)]
    return f"{dataset['name']} ({sizes[0]} rows, {sizes[1]} features)"
