"""What a process does not load: the API stays small, and the command line starts fast."""

import subprocess
import sys

import pytest

SIMULATORS = {"torch", "pennylane", "pymoo", "moocore", "sklearn", "celery", "numpy"}


def loaded_by(statement: str) -> set[str]:
    """Returns the top-level modules that a fresh interpreter has after a statement."""
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_the_api_loads_no_simulator_no_optimiser_and_no_queue() -> None:
    assert not SIMULATORS & loaded_by("import api.app")


def test_the_controller_loads_no_simulator() -> None:
    assert not {"torch", "pennylane", "sklearn"} & loaded_by("import worker.controller")


@pytest.mark.parametrize("statement", ["from hqnas import Client", "import hqnas.cli.application"])
def test_the_client_and_the_command_line_load_no_simulator_and_no_database(statement: str) -> None:
    assert not (SIMULATORS | {"sqlalchemy", "fastapi"}) & loaded_by(statement)
