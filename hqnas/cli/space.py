"""`hqnas space`: what a spec lets a search propose, seen before anything is submitted. No service is asked.

spec ──▶ SearchSpace ──▶ size, genes, forbidden combinations, variables ──▶ ten genomes at random
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hqnas.cli.failures import needs_worker_packages

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nas.space import Genome, SearchSpace
    from nas.spec import SearchSpec

Document = dict[str, Any]

SPACE_EXAMPLE: Final = (
    "\b\nExamples:\n  hqnas space examples/wine.yaml\n  hqnas space my-search.yaml --seed 7 --json | jq .samples[0]"
)

_N_SAMPLES: Final = 10
_COSTS: Final = ("qubits", "gates", "two_qubit_gates", "circuit_depth", "quantum_parameters", "classical_parameters")
_SHOWN_OF_DIGEST: Final = 12
#: Points that are gone through to count architectures: some seconds.
_MAX_ENUMERATED: Final = 20_000
_LARGEST_WRITTEN: Final = 10**9


def space(
    file: Annotated[str, typer.Argument(help="YAML or JSON file with the spec; '-' is the standard input.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the samples; the same seed gives the same.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line for each space.")] = False,
) -> None:
    """Shows the search space of a spec: its size, its genes, what is forbidden, and ten samples.

    Of a spec for `hqnas sweep`, the space of each mode: pure-quantum has no classical layers.
    """
    from hqnas.client import sweep
    from hqnas.client.documents import to_document
    from hqnas.client.errors import RefusedSpec, SpecProblem
    from nas.spec import InvalidSpec, parse_spec

    try:
        specs = [parse_spec(document) for document in sweep.searches_of(to_document(file))]
    except InvalidSpec as error:
        raise RefusedSpec(tuple(SpecProblem(item.path, item.message) for item in error.problems)) from error
    for place, spec in enumerate(specs):
        with needs_worker_packages("space"):
            found = describe(spec, seed=seed)
        if as_json:
            typer.echo(json.dumps(found, allow_nan=False))
        else:
            typer.echo("\n" if place else "", nl=False)
            _print(found)


def describe(spec: "SearchSpec", *, seed: int) -> Document:
    """Returns what `hqnas space` shows, as JSON values."""
    from hqnas.export.genes import architecture
    from nas.circuits import Architecture
    from nas.metrics.costs import exact_costs
    from nas.space import SearchSpace

    found = SearchSpace.from_spec(spec)
    samples = []
    for genome in _samples(spec, found, seed):
        costs = exact_costs(Architecture.build(genome, spec))
        samples.append(
            {
                "architecture": architecture(genome.to_json()),
                "digest": genome.digest,
                "genome": genome.to_json(),
                "costs": {name: costs[name] for name in _COSTS},
            }
        )
    return {
        "name": spec.name,
        **_size(spec, found),
        "n_variables": len(found.variables),
        "genes": list(_genes(spec, found)),
        "forbid": [entry.model_dump(mode="json") for entry in spec.space.forbid],
        "constraints": [one.model_dump(mode="json", exclude_none=True) for one in spec.constraints],
        "samples": samples,
    }


def _size(spec: "SearchSpec", found: "SearchSpace") -> Document:
    """Returns the number of points and of architectures, each `None` where it is infinite or not counted.

    Beside a learning rate from a range, of which there are infinitely many, architectures are counted without it.
    """
    from nas.algorithms.drawing import every_genome
    from nas.algorithms.generation import is_allowed

    finite, real = found.without_real_genes()
    count = None
    if finite.size <= _MAX_ENUMERATED:
        count = sum(is_allowed(spec, genome) for genome in set(every_genome(finite)))
    return {
        "points": None if real else int(finite.size),
        "real_genes": list(real),
        "points_without_real_genes": int(finite.size),
        "architectures_without_real_genes": count,
    }


def _genes(spec: "SearchSpec", found: "SearchSpace") -> Iterator[Document]:
    from nas.space import Interval

    varied = {variable.key.partition(".")[0] for variable in found.variables}
    for name, gene in found.genes.items():
        if isinstance(gene, Interval):
            takes: Any = getattr(spec.space, name).model_dump(mode="json")
        else:
            takes = [list(value) if isinstance(value, tuple) else value for value in gene.values]
        is_active = takes != [None] and name not in found.without_effect
        yield {
            "gene": name,
            "takes": takes if is_active else [],
            "is_per_layer": name in found.per_layer and is_active,
            "is_varied": name in varied,
            "has_effect": is_active,
        }


def _samples(spec: "SearchSpec", found: "SearchSpace", seed: int) -> list["Genome"]:
    """Returns architectures that the search may propose, drawn at random; fewer if there are no more."""
    import numpy as np

    from nas.algorithms.generation import draw_allowed

    return draw_allowed(spec, found, n=_N_SAMPLES, rng=np.random.default_rng(seed))


def _print(found: Document) -> None:
    from rich.console import Console
    from rich.text import Text

    from hqnas.cli.screen import plain

    console = Console(highlight=False)
    console.print(plain(found["name"], "bold"))
    console.print(plain(_size_text(found)))
    console.print()
    console.print(_gene_table(found))
    if found["forbid"] or found["constraints"]:
        console.print()
    for entry in found["forbid"]:
        text = " and ".join(f"{gene} {_condition(condition)}" for gene, condition in entry.items())
        console.print(Text.assemble(("forbidden  ", "dim"), plain(text)))
    for bound in found["constraints"]:
        words = [f"{key.replace('_', ' ')} {value:g}" for key, value in bound.items() if key != "metric"]
        console.print(Text.assemble(("constraint  ", "dim"), plain(f"{bound['metric']} {', '.join(words)}")))
    console.print()
    if found["samples"]:
        console.print(_samples_view(found, console.width))
    if len(found["samples"]) < _N_SAMPLES:
        console.print(Text("There are no more that the constraints allow.", "dim"))


def _size_text(found: Document) -> str:
    points, count = found["points_without_real_genes"], found["architectures_without_real_genes"]
    real = found["real_genes"]
    beside = f", each with any {' and '.join(real)} of its range" if real else ""
    size = f"{points:,}" if points < _LARGEST_WRITTEN else f"about 10^{len(str(points)) - 1}"
    if count is None:
        return f"{size} combinations of genes{beside}; too many to count how many architectures differ."
    return f"{size} combinations of genes, which make {count:,} different architectures that may be proposed{beside}."


def _gene_table(found: Document) -> "RenderableType":
    from rich.table import Table

    from hqnas.cli.screen import plain

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("gene", no_wrap=True)
    table.add_column("takes", overflow="fold")
    table.add_column("", no_wrap=True, style="dim")
    for gene in found["genes"]:
        note = "per layer" if gene["is_per_layer"] else ""
        takes = _condition(gene["takes"]) if gene["has_effect"] else "no effect in this space"
        table.add_row(gene["gene"], plain(takes, "" if gene["is_varied"] else "dim"), note)
    return table


def _samples_view(found: Document, width: int) -> "RenderableType":
    from hqnas.cli.architecture_tables import with_architectures

    columns = ("digest", "gates", "two-qubit\ngates", "depth", "circuit\nweights", "classical\nweights")
    rows = [
        [sample["digest"][:_SHOWN_OF_DIGEST], *(str(sample["costs"][name]) for name in _COSTS[1:])]
        for sample in found["samples"]
    ]
    return with_architectures(columns, rows, [sample["architecture"] for sample in found["samples"]], width=width)


def _condition(value: Any) -> str:
    """Returns choices, a range or a value as a person would write them."""
    if isinstance(value, dict):
        return f"{value['min']} to {value['max']}" + (", log" if value.get("log") else "")
    if isinstance(value, list):
        numbers = [one for one in value if isinstance(one, int) and not isinstance(one, bool)]
        if len(numbers) == len(value) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return f"{numbers[0]} to {numbers[-1]}"
        return ", ".join(f"[{' '.join(map(str, one))}]" if isinstance(one, list) else _condition(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
