"""Checks of a spec that need more than one field. Each finding has the path of the field to change."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nas.spec import limits
from nas.spec.forbidding import find_forbid_problems
from nas.spec.genes import LAYERED, FloatRange, choices_of
from nas.spec.grid import n_points
from nas.spec.metric_checks import metric_problems
from nas.spec.stage_checks import stage_problems
from nas.spec.training_checks import training_problems

if TYPE_CHECKING:
    from nas.spec.search import SearchSpec

#: Path, sentence and value.
Finding = tuple[tuple[str | int, ...], str, Any]


def find_problems(spec: "SearchSpec") -> list[Finding]:
    """Returns what does not fit together in a spec whose fields are valid one by one."""
    found = [*_gene_problems(spec), *_objective_problems(spec), *_mode_problems(spec), *_engine_problems(spec)]
    found += training_problems(spec)
    found += metric_problems(spec)
    found += stage_problems(spec)
    return found or [*find_forbid_problems(spec), *_memory_problems(spec), *_grid_problems(spec)]


def _gene_problems(spec: "SearchSpec") -> list[Finding]:
    problems: list[Finding] = []
    most = _most_qubits(spec)
    qubits, layers = max(choices_of(spec.space.qubits)), max(choices_of(spec.space.layers))
    if qubits > most:
        problems.append(
            (("space", "qubits"), f"{spec.engine} holds at most {most} qubits, and the space reaches {qubits}", qubits)
        )
    if layers > limits.MAX_LAYERS:
        problems.append(
            (("space", "layers"), f"at most {limits.MAX_LAYERS} layers, and the space reaches {layers}", layers)
        )
    for name in ("qubits", "layers"):
        low = min(choices_of(getattr(spec.space, name)))
        if low < 1:
            problems.append((("space", name), f"{name} start at 1, and the space reaches {low}", low))
    rate = spec.space.learning_rate
    if isinstance(rate, FloatRange) and rate.min <= 0:
        problems.append((("space", "learning_rate", "min"), f"a learning rate is above 0, not {rate.min}", rate.min))
    if len(set(spec.space.per_layer)) < len(spec.space.per_layer):
        problems.append((("space", "per_layer"), "a gene stands twice; name each once", spec.space.per_layer))
    return problems


def _most_qubits(spec: "SearchSpec") -> int:
    engines = limits.AUTO_ENGINES[spec.device] if spec.engine == "auto" else (spec.engine,)
    return max(limits.ENGINE_QUBITS[engine] for engine in engines)


def _objective_problems(spec: "SearchSpec") -> list[Finding]:
    names = [objective.metric for objective in spec.objectives]
    return [
        (("objectives", i, "metric"), f"'{name}' is an objective already; name each metric once", name)
        for i, name in enumerate(names)
        if name in names[:i]
    ]


def _mode_problems(spec: "SearchSpec") -> list[Finding]:
    if spec.training.mode != "pure-quantum":
        return []
    problems: list[Finding] = [
        (("space", name), f"pure-quantum has no classical layers; remove '{name}' or change training.mode", value)
        for name in ("pre_layers", "post_layers")
        if any(choices_of(value := getattr(spec.space, name), is_nested=True))
    ]
    problems.extend(
        (("objectives", i, "metric"), "pure-quantum has no classical parameters to count", "classical_parameters")
        for i, objective in enumerate(spec.objectives)
        if objective.metric == "classical_parameters"
    )
    return problems


def _engine_problems(spec: "SearchSpec") -> list[Finding]:
    problems: list[Finding] = []
    if spec.engine == "lightning.gpu" and spec.device != "gpu":
        problems.append((("device",), "lightning.gpu needs 'device: gpu'", spec.device))
    if spec.engine == "default.qubit" and spec.precision != "complex128":
        text = (
            f"default.qubit computes in complex128 and not in {spec.precision}; remove 'precision', or take another "
            "engine"
        )
        problems.append((("precision",), text, spec.precision))
    return problems


def _grid_problems(spec: "SearchSpec") -> list[Finding]:
    if spec.algorithm.name != "grid":
        return []
    problems: list[Finding] = []
    if "generations" in spec.algorithm.model_fields_set:
        text = "a grid has as many generations as its points fill; remove it, or cut the grid with budget.evaluations"
        problems.append((("algorithm", "generations"), text, spec.algorithm.generations))
    rate = spec.space.learning_rate
    if spec.has_training and isinstance(rate, FloatRange) and rate.points is None:
        text = "a grid needs a finite number of learning rates; add 'points' to the range, or list them"
        return [*problems, (("space", "learning_rate"), text, None)]
    size = n_points(spec.space, has_training=spec.has_training)
    if size > limits.MAX_GRID_POINTS and (spec.budget.evaluations or size) > limits.MAX_GRID_POINTS:
        text = (
            f"the grid has {size:,} points, and a grid search goes through at most {limits.MAX_GRID_POINTS:,}; take "
            "fewer choices, or only the first points with budget.evaluations"
        )
        problems.append((("space",), text, None))
    return problems


def _memory_problems(spec: "SearchSpec") -> list[Finding]:
    problems: list[Finding] = []
    n_parameters, settings = _most_classical_parameters(spec), spec.metrics
    if spec.algorithm.reevaluate is not None:
        settings = settings.with_samples(spec.algorithm.reevaluate.factor)
    samples = settings.gradient_variance.samples
    of_everything = {"gradient_variance_hybrid"}
    if spec.training.mode == "full-hybrid":
        of_everything |= {"gradient_variance", "dead_parameters"}
    if of_everything & set(spec.measured):
        n_bytes = 8 * samples * n_parameters
        if n_bytes > limits.MAX_GRADIENT_BYTES:
            text = (
                f"{samples} draws of the gradient of up to {n_parameters} classical parameters take "
                f"{n_bytes >> 20} MiB, and {limits.MAX_GRADIENT_BYTES >> 20} are allowed; take narrower layers or "
                "fewer draws"
            )
            problems.append((("space", "pre_layers"), text, n_parameters))
    n_gates, qubits = _most_gates(spec), max(choices_of(spec.space.qubits))
    n_bytes = 16 * n_gates << qubits
    if spec.engine == "default.qubit" and n_bytes > limits.MAX_STORED_STATES_BYTES:
        text = (
            f"the gradient of about {n_gates} gates on {qubits} qubits takes {n_bytes >> 20} MiB on default.qubit, and "
            f"{limits.MAX_STORED_STATES_BYTES >> 20} are allowed; take fewer layers or qubits, or lightning.qubit"
        )
        problems.append((("space", "layers"), text, n_gates))
    return problems


def _most_classical_parameters(spec: "SearchSpec") -> int:
    """Returns an upper bound on the weights of the classical layers around a circuit of this space."""
    qubits: int = max(choices_of(spec.space.qubits))
    n_inputs = qubits
    if "amplitude" in choices_of(spec.space.encoding):
        n_inputs = max(qubits, min(spec.dataset.n_features, 1 << qubits))

    def most(first: int, gene: Any, last: int) -> int:
        chains = ([first, *widths, last] for widths in choices_of(gene, is_nested=True))
        widest: int = max(sum((a + 1) * b for a, b in pairwise(chain)) for chain in chains)
        return widest

    return most(spec.dataset.n_features, spec.space.pre_layers, n_inputs) + most(
        3 * qubits, spec.space.post_layers, spec.dataset.n_outputs
    )


def _most_gates(spec: "SearchSpec") -> int:
    """Returns an upper bound on the gates of a circuit of this space."""
    qubits, layers = max(choices_of(spec.space.qubits)), max(choices_of(spec.space.layers))
    n_pairs = qubits * (qubits - 1) // 2
    rotations = max(len(gates) for gates in choices_of(spec.space.rotations, is_nested=True)) * qubits
    entanglers = n_pairs if "full" in choices_of(spec.space.topology) else qubits
    encoding = 2 * qubits + (n_pairs if "iqp" in choices_of(spec.space.encoding) else 0)
    n_encodings = layers if True in choices_of(spec.space.reuploading) else 1
    a_layer = rotations + entanglers
    templates = set(choices_of(spec.space.template))
    if templates - {LAYERED}:
        # A layer of a template has up to five gates a wire, and in sim-5 and sim-6 one for each ordered pair besides.
        # What stands once in front is less than a layer.
        n_directed = 2 * n_pairs if templates & {"sim-5", "sim-6"} else 0
        a_layer, layers = max(a_layer, 5 * qubits + n_directed), layers + 1
    n_gates: int = layers * a_layer + n_encodings * encoding
    return n_gates
