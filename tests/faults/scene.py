"""A search under way, in which victims compute one evaluation in every slot, and do not get on with it.

Beside them works `w`, which takes over. Times are of the database's clock, which is this machine's.
"""

import contextlib
import math
import uuid
from collections.abc import Iterator
from typing import Any

from cluster import Cluster, Member
from processes import wait_until

from models import Evaluation

N_FREE = 2  #: slots of the worker that takes over
SLOTS = 5  #: of each victim, at most


def spec_of(population: int, *, generations: int = 2) -> dict[str, Any]:
    return {
        "name": "faults",
        "dataset": {"name": "iris"},
        "space": {"qubits": [1, 2], "layers": [1, 2, 3], "learning_rate": {"min": 0.01, "max": 0.2, "log": True}},
        "training": {"epochs": 2, "batch_size": 128},
        "metrics": {"expressibility": {"samples": 200}},
        "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}],
        "algorithm": {"population": population, "generations": generations, "seed": 3},
    }


class Scene:
    """A search under way, in which victims compute one evaluation in every slot, and do not get on with it."""

    def __init__(self, cluster: Cluster, victims: list[Member], spec: dict[str, Any], search_id: str) -> None:
        self.cluster = cluster
        self.victims = victims
        self.held = cluster.running_on(*victims)
        self._spec = spec
        self._search_id = search_id

    def held_by(self, victim: Member) -> list[uuid.UUID]:
        name = victim.name + "@"
        return [one.id for one in self.held if one.worker is not None and one.worker.startswith(name)]

    def rows(self, ids: list[uuid.UUID]) -> list[Evaluation]:
        return self.cluster.evaluations(Evaluation.id.in_(ids))

    def let_go(self) -> None:
        for victim in self.victims:
            victim.let_go("computing")

    def conclude(self) -> None:
        self.cluster.conclude(self._search_id, self._spec)


@contextlib.contextmanager
def scene(cluster: Cluster, *, n_held: int) -> Iterator[Scene]:
    """Starts victims with so many slots together, and a search that fills them; ends the victims."""
    n_victims = math.ceil(n_held / SLOTS)
    spec = spec_of(n_held + N_FREE)
    cluster.undisturbed(spec)
    w = cluster.worker("w")
    victims = [
        cluster.worker(f"v{i}", slots=min(SLOTS, n_held - i * SLOTS), holds="computing") for i in range(n_victims)
    ]
    for victim in victims:
        victim.wait_until_up()
    w.hold("computing")
    search_id = cluster.submit(spec)
    wait_until(lambda: len(cluster.running_on(*victims)) == n_held, f"{n_held} evaluations to be held")
    w.let_go("computing")
    yield Scene(cluster, victims, spec, search_id)
    cluster.dismiss(*victims)
    for victim in victims:
        victim.forget_orders()
