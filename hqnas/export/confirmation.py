"""A confirmation as CSV: one line a training."""

import csv
import io
from typing import Any, Final

from hqnas.client.confirmation import Confirmation

_OF_ARM: Final = ("parameters", "trained_parameters", "quantum_parameters", "two_qubit_gates", "hidden")
_OF_TRIAL: Final = ("seed", "epoch", "validation_loss", "test_accuracy", "test_r2", "test_loss")


def trials_to_csv(confirmation: Confirmation) -> str:
    """Returns one line for each member, arm and seed, with all digits; ids and times are left out.

    A training that diverged has empty figures. Equal results give equal files.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["generation", "index", "digest", "arm", *_OF_ARM, *_OF_TRIAL])
    for member in confirmation.members:
        for arm in member.arms:
            sizes = [_cell(getattr(arm, name)) for name in _OF_ARM]
            for trial in arm.trials:
                figures = [_cell(trial.get(name)) for name in _OF_TRIAL]
                writer.writerow([member.generation, member.index, member.digest, arm.name, *sizes, *figures])
    return out.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else repr(value)
