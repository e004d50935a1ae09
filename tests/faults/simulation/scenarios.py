"""What is asked for in a schedule: searches, small enough to run thousands of times."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from calibrations import calibration
from made_up import SPEC


@dataclass(frozen=True, slots=True)
class Request:
    """One search. The outcome of searches of equal `spec` is equal, whoever asks."""

    spec: dict[str, Any]
    team: int = 0  #: 0 is the default team
    is_cancelled: bool = False
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """Searches that are there together, and the genomes that cannot be measured."""

    name: str
    requests: tuple[Request, ...]
    failing: float = 0.0  #: share of genomes whose evaluation fails
    deadly: float = 0.0  #: share of genomes whose evaluation kills its process
    bundles: dict[int, int] = field(default_factory=dict)  #: by qubit count, how many travel together

    @property
    def undisturbed(self) -> Self:
        """The same with nothing cancelled."""
        return replace(self, requests=tuple(replace(one, is_cancelled=False) for one in self.requests))

    @property
    def calibration(self) -> dict[str, Any]:
        """What the workers say of their machine."""
        return calibration(bundles=self.bundles).to_json()


_PLAIN: Final = {**SPEC, "training": {"epochs": 20}, "algorithm": {"population": 4, "generations": 3}}
_SMALL: Final = {**_PLAIN, "algorithm": {"population": 4, "generations": 2}}
_STAGED: Final = {
    **SPEC,
    "training": {"epochs": 20, "stages": {"epochs": [0, 5]}},
    "algorithm": {"population": 4, "generations": 2, "reevaluate": {"factor": 2, "rounds": 2}},
}
_BUDGET: Final = {**_PLAIN, "budget": {"evaluations": 7}}
_BUNDLED: Final = {**_SMALL, "engine": "auto", "space": {**SPEC["space"], "qubits": [2, 3]}}
_GRID: Final = {
    **_SMALL,
    "space": {"qubits": [2, 3], "layers": [1, 2], "topology": ["linear", "ring"], "learning_rate": 0.1},
    "algorithm": {"name": "grid", "population": 4},
}
_CONFIRMED: Final = {**_SMALL, "algorithm": {"population": 4, "generations": 1}}

SCENARIOS: Final = (
    Scenario("plain", (Request(_PLAIN),)),
    Scenario("staged", (Request(_STAGED),)),
    Scenario("shared", (Request(_SMALL), Request(_SMALL), Request(_SMALL, team=1))),
    Scenario("cancelled", (Request(_SMALL), Request(_SMALL, is_cancelled=True))),
    Scenario("budget", (Request(_BUDGET),), failing=0.15),
    Scenario("bundled", (Request(_BUNDLED), Request(_BUNDLED, team=1)), bundles={2: 4, 3: 4}),
    Scenario("grid", (Request(_GRID), Request({**_GRID, "budget": {"evaluations": 5}}))),
    Scenario("deadly", (Request(_BUNDLED),), deadly=0.1, bundles={2: 4, 3: 4}),
    Scenario("confirmed", (Request(_CONFIRMED, is_confirmed=True),)),
)
