"""Writes docs/reliability.md: the prose of `reliability.template.md`, with the scenarios and what was measured.

PYTHONPATH=tests python -m faults.reliability
"""

import datetime
import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

from faults.scenarios import RECOVERIES, SCENARIOS, Shown

from worker.machine import hardware

DOCUMENT = Path("docs/reliability.md")
_TEMPLATE = Path(__file__).with_name("reliability.template.md")
_HEAD = "| fault | what then holds | shown by | limit | median | worst | n |\n|---|---|---|---|---|---|---|"

Recoveries = Mapping[str, Sequence[float]]  #: by test


def render(recoveries: Recoveries, *, measured_on: str) -> str:
    """Returns the document."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(table="\n".join([_HEAD, *_rows(recoveries)]), machine=measured_on)


def _rows(recoveries: Recoveries) -> Iterator[str]:
    for scenario in SCENARIOS:
        for i, shown in enumerate(scenario.shown):
            yield _row(scenario.fault if i == 0 else "", shown.holds, link(shown), *_times(shown, recoveries))
        if scenario.absent is not None:
            yield _row(scenario.fault, scenario.absent, "", "", "", "", "")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def link(shown: Shown) -> str:
    """Returns the cell that names a test."""
    path, _, name = shown.by.partition("::")
    return f"[`{name.removeprefix('test_')}`](../{path})"


def _times(shown: Shown, recoveries: Recoveries) -> tuple[str, str, str, str]:
    if shown.limit is None:
        return "–", "–", "–", "–"
    limit = f"{shown.limit:g} {shown.unit}"
    samples = recoveries.get(shown.by)
    if not samples:
        return limit, "not measured", "not measured", "0"
    median, worst = statistics.median(samples), max(samples)
    return limit, f"{median:.2f} {shown.unit}", f"{worst:.2f} {shown.unit}", str(len(samples))


def _machine() -> str:
    facts = hardware()
    return (
        f"{facts['processor']}, {os.cpu_count()} cores, {facts['memory_bytes'] / 2**30:.0f} GiB; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"{datetime.datetime.now(datetime.UTC).date().isoformat()}"
    )


if __name__ == "__main__":
    found = json.loads(RECOVERIES.read_text(encoding="utf-8"))
    DOCUMENT.write_text(render(found, measured_on=_machine()), encoding="utf-8")
    print(f"Wrote {DOCUMENT}.")
