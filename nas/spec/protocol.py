"""How an evaluation measures: all of a spec that can change a number, and nothing else.

Two searches of a team whose protocols are equal share the evaluations of the genomes they have in common.
"""

import hashlib
import json
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from nas.spec.datasets import Dataset
from nas.spec.engines import EngineName, Precision
from nas.spec.metrics import METRICS
from nas.spec.search import SearchSpec
from nas.spec.settings import MetricSettings
from nas.spec.training import Training

#: Settings that there were from the start. A later block stands in a protocol only where one of its metrics does, so
#: that neither a release that adds one, nor its settings in other searches, part evaluations that are the same.
_FIRST_SETTINGS: Final = frozenset({"expressibility", "entangling_capability", "gradient_variance", "also"})


class Protocol(BaseModel):
    """The conditions of a measurement: data, training, metrics with their versions, engine, precision, device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: Dataset
    training: Training
    metrics: dict[str, int]  #: name to version of its definition
    settings: MetricSettings
    engine: EngineName
    precision: Precision
    device: Literal["cpu", "gpu"]

    @classmethod
    def from_spec(cls, spec: SearchSpec, *, engine: EngineName | None = None) -> Self:
        """Returns the protocol that candidates of a search are measured under.

        Args:
            spec: the search.
            engine: for a spec that says `auto`, the one that was chosen for the candidates' qubit count; by default
                the one that the spec names.

        Raises:
            ValueError: the spec says `auto`, and no engine is given.
        """
        if engine is None:
            if spec.engine == "auto":
                raise ValueError("the engine of `auto` is chosen when a search begins; pass it")
            engine = spec.engine
        return cls(
            dataset=spec.dataset,
            training=spec.training.fitting,
            metrics={name: METRICS[name].version for name in spec.measured},
            settings=spec.metrics.model_copy(update={"also": []}),
            engine=engine,
            precision=spec.precision,
            device=spec.device,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the protocol as JSON values, without settings that change nothing in it.

        What came later is left out while it has its default, so that the digests of earlier protocols stay.
        """
        parts = {"dataset": self.dataset, "training": self.training}
        document = {**self.model_dump(mode="json"), **{name: part.to_identity() for name, part in parts.items()}}
        known = [METRICS[name] for name in self.metrics if name in METRICS]
        used = _FIRST_SETTINGS | {info.settings or info.name for info in known}
        if self.settings.replicates > 1:
            used = used | {"replicates"}
        document["settings"] = {name: block for name, block in document["settings"].items() if name in used}
        return document

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
