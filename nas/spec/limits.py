"""Bounds on what a spec may ask for. They keep one request from costing more than a cluster has."""

from typing import Final

#: State vectors that an engine holds in memory with room for batches, at complex128.
ENGINE_QUBITS: Final[dict[str, int]] = {
    "batched": 16,
    "default.qubit": 16,
    "lightning.qubit": 24,
    "lightning.gpu": 28,
}

#: What `engine: auto` may choose, by the class of device. `default.qubit` is the reference and never the fastest.
AUTO_ENGINES: Final[dict[str, tuple[str, ...]]] = {
    "cpu": ("batched", "lightning.qubit"),
    "gpu": ("batched", "lightning.gpu", "lightning.qubit"),
}

MAX_CHOICES = 256
MAX_LAYERS = 64
MAX_HIDDEN_LAYERS = 8
MAX_WIDTH = 4096
MAX_ROTATIONS = 8
MAX_FORBIDDEN = 64
MAX_OBJECTIVES = 6
MAX_CONSTRAINTS = 32
MAX_POPULATION = 2_000
MAX_GENERATIONS = 10_000
MAX_EVALUATIONS = 1_000_000
MAX_GRID_POINTS = 20_000
MAX_EPOCHS = 10_000
MAX_STAGES = 8
MAX_STANDARD_ERRORS = 100.0
MAX_FACTOR = 1_000
MAX_ROUNDS = 20
MAX_BATCH_SIZE = 65_536
MAX_REPLICATES = 100
MAX_SAMPLES = 1_000_000
MAX_BINS = 10_000
MAX_TRAJECTORIES = 1_000
MAX_DATASET_SAMPLES = 20_000
MAX_FEATURES = 512
MAX_SEED = 2**31 - 1
MAX_NAME = 120
MAX_WALL_TIME_S = 366 * 86_400

#: Gradients that one evaluation keeps: draws x parameters.
MAX_GRADIENT_BYTES = 256 * 2**20
#: States that one row's gradient keeps, one for each gate, on an engine that stores them.
MAX_STORED_STATES_BYTES = 2 * 2**30

MAX_FRAME_ORDER = 8
#: Wires of a coupling map that a spec lists.
MAX_COUPLED_WIRES = 64
MAX_ROUTING_TRIALS = 32
#: Gates on two wires that the router takes, once larger ones are taken apart; a second or two a placement.
MAX_ROUTED_GATES = 2_000
#: The quantum Fisher information is a matrix over weights, of derivatives as wide as the state.
MAX_FISHER_QUBITS = 10
MAX_FISHER_ANGLES = 512
MAX_FISHER_DRAWS = 1_000
MIN_GRADIENT_ERROR = 1e-6
