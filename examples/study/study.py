"""The study of docs/study.md: does expressibility cost trainability, and does training decide what is on a front?

Runs against a service that is up; `make study` starts one around it. Stage one measures every architecture of
`sweep.yaml` in three training modes; stage two searches the space of `search.yaml` in two, and confirms both fronts.
Leaves the pictures and tables in docs/study/, and docs/study.md with all numbers in the places of `study.template.md`.
"""

import sys
import time
from pathlib import Path
from string import Template
from typing import Any

from rich.console import Console

import hqnas
from hqnas import Client, HqnasError
from hqnas.cli.screen import follow
from hqnas.export import write_file
from hqnas.report import Study, gather
from hqnas.report.section import Section
from hqnas.report.sections.controls import controls
from hqnas.report.sections.fronts import fronts
from hqnas.report.sections.genes import gene_importance, shared_genes
from hqnas.report.sections.growth import hypervolume
from hqnas.report.sections.proxies import proxies
from hqnas.report.sections.trade_off import strata, trade_off

HERE = Path(__file__).parent
DOCS = Path("docs")
SEEDS = 10  #: that each member of a front, and each of its controls, is trained with

_STAGES = {
    "sweep": (trade_off, strata, gene_importance),
    "search": (fronts, hypervolume, trade_off, proxies, shared_genes, controls),
}


def main() -> int:
    """Runs both stages and writes the document; returns the exit code."""
    console, started = Console(), time.monotonic()
    with Client() as client:
        sweeps = client.sweep(HERE / "sweep.yaml")
        searches = client.sweep(HERE / "search.yaml")
        ended = [follow(client, search.id, console) for search in (*sweeps, *searches)]
        if any(search.state != "finished" for search in ended):
            return 1
        for search in searches:
            confirmation = client.confirm(search.id, seeds=SEEDS)
            for state in client.watch_confirmation(search.id, number=confirmation.number):
                console.print(f"{search.name}: {state.n_measured} of {state.n_members} members confirmed")
        stages = {
            "sweep": gather(client, [search.id for search in sweeps]),
            "search": gather(client, [search.id for search in searches]),
        }
    places: dict[str, Any] = {"version": hqnas.__version__, "minutes": f"{(time.monotonic() - started) / 60:.0f}"}
    for stage, study in stages.items():
        places[f"{stage}_sizes"] = sizes(study)
        for make in _STAGES[stage]:
            places |= written(stage, make(study))
    template = Template((HERE / "study.template.md").read_text(encoding="utf-8"))
    write_file(DOCS / "study.md", template.substitute(places))
    console.print(f"Wrote {DOCS / 'study.md'}, and its pictures and tables in {DOCS / 'study'}.")
    return 0


def sizes(study: Study) -> str:
    """Returns how many architectures each search evaluated, as a list."""
    return "\n".join(f"- {member.label}: {len(member.rows)} architectures" for member in study.members)


def written(stage: str, section: Section) -> dict[str, str]:
    """Writes a section's picture and table, and returns its part of the document by its place in the template."""
    name = f"{stage}-{section.name}"
    parts = ["\n".join(f"- {sentence}" for sentence in section.sentences)]
    if section.picture is not None:
        write_file(DOCS / "study" / f"{name}.png", section.picture)
        parts.append(f"![{section.title}](study/{name}.png)")
    if section.table is not None:
        write_file(DOCS / "study" / f"{name}.csv", section.table.to_csv())
        parts.append(f"All numbers: [{name}.csv](study/{name}.csv)")
    return {name.replace("-", "_"): "\n\n".join(parts)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HqnasError as error:
        Console(stderr=True).print(f"study: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
