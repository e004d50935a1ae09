"""Specs that the OpenAPI document shows."""

from typing import Final

from fastapi.openapi.models import Example

SPEC_EXAMPLES: Final[dict[str, Example]] = {
    "small": Example(
        summary="A small search on the Wine data",
        value={
            "name": "wine-small",
            "dataset": {"name": "wine"},
            "space": {"qubits": {"min": 2, "max": 4}, "layers": [1, 2, 3], "topology": ["none", "linear", "ring"]},
            "training": {"epochs": 10, "batch_size": 64},
            "objectives": [
                {"metric": "validation_accuracy", "goal": "maximize"},
                {"metric": "two_qubit_gates", "goal": "minimize"},
            ],
            "algorithm": {"name": "nsga2", "population": 8, "generations": 3, "seed": 1},
        },
    ),
    "trade-off": Example(
        summary="Expressibility against trainability, under a bound on entanglers",
        value={
            "name": "expressibility-trainability",
            "dataset": {"name": "synthetic-binary", "samples": 400, "features": 4},
            "space": {
                "qubits": {"min": 2, "max": 6},
                "layers": {"min": 1, "max": 6},
                "rotations": [["ry"], ["ry", "rz"], ["rx", "ry", "rz"]],
                "entangler": ["cnot", "cz"],
                "topology": ["linear", "ring", "full"],
            },
            "training": {"mode": "pure-quantum"},
            "objectives": [{"metric": "expressibility"}, {"metric": "gradient_variance"}],
            "constraints": [{"metric": "two_qubit_gates", "at_most": 40}],
            "budget": {"evaluations": 400, "wall_time": "2h"},
        },
    ),
    "templates": Example(
        summary="Circuits of the literature beside layers of one's own, with forbidden combinations",
        value={
            "name": "templates",
            "dataset": {"name": "iris"},
            "space": {
                "qubits": {"min": 3, "max": 6},
                "layers": {"min": 1, "max": 5},
                "template": ["layered", "strongly-entangling", "sim-4", "sim-14"],
                "topology": ["linear", "ring", "full"],
                "per_layer": ["topology"],
                "forbid": [
                    {"topology": ["ring", "full"], "qubits": {"min": 5, "max": 6}},
                    {"template": "sim-14", "layers": 5},
                ],
            },
            "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
        },
    ),
}
