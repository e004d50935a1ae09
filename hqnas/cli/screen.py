"""What commands show: the progress of a search, a candidate, and the list of searches.

Texts of others are shown as they are: never as markup, and without control characters.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hqnas.client import Candidate, CandidateDetail, Client, MetricValue, Objective, Search
from hqnas.export.genes import GENES, gene_of
from hqnas.export.names import in_words

_STYLE_OF_STATE: Final = {
    "queued": "yellow",
    "running": "cyan",
    "finished": "green",
    "cancelled": "yellow",
    "failed": "red",
}
_LINE_EVERY_S: Final = 10.0  #: where the output is no terminal
_BAR_WIDTH: Final = 36
_MOST_DECIMALS: Final = 6
_SHOWN_OF_ID: Final = 13  #: the milliseconds of an UUIDv7: enough to tell searches apart, and commands take it


def follow(client: Client, search_id: str, console: Console, *, interval_s: float = 1.0) -> Search:
    """Shows a search until it has ended and returns its final state.

    A terminal gets a display that renews itself, anything else a line now and then.
    """
    states = client.watch(search_id, interval_s=interval_s)
    last = _follow_live(states, console) if console.is_terminal else _follow_in_lines(states, console)
    console.print(outcome(last))
    return last


def outcome(search: Search) -> Text:
    """Returns how a search ended, in one line."""
    text = Text.assemble(("● ", _STYLE_OF_STATE[search.state]), plain(search.name), f" {search.state}")
    return text.append(f": {_clean(search.reason)}") if search.reason else text


def progress_panel(search: Search) -> Panel:
    """Returns the live display of a search."""
    progress = search.progress
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(width=_BAR_WIDTH)
    grid.add_column()
    n_done = progress.evaluated + progress.failed + progress.stopped
    generation = 0 if progress.generation is None else min(progress.generation + 1, progress.generations)
    grid.add_row(
        "generation",
        ProgressBar(total=progress.generations, completed=generation, width=_BAR_WIDTH),
        f"{generation} of {progress.generations}",
    )
    grid.add_row(
        "evaluated",
        ProgressBar(total=max(progress.planned, 1), completed=n_done, width=_BAR_WIDTH),
        Text.assemble(f"{n_done} of {progress.planned}", *_failed_and_cached(search)),
    )
    grid.add_row("speed", Text(_speed(search)), Text(_time_left(search)))
    grid.add_row("front", f"{progress.front_size} members", f"hypervolume {number(progress.hypervolume)}")
    if search.engines:
        grid.add_row("engine", plain(engines_text(search.engines)))
    body = Group(grid, plain(search.notice, "yellow")) if search.notice else grid
    title = Text.assemble(plain(search.name, "bold"), "  ", (search.state, _STYLE_OF_STATE[search.state]))
    return Panel(body, title=title, title_align="left", expand=False, border_style="dim", padding=(0, 1))


def engines_text(engines: Mapping[str, str]) -> str:
    """Returns which engine simulates which qubit counts, as `batched: 2-8, 10; lightning.qubit: 20`."""
    texts = []
    for engine in sorted(set(engines.values())):
        counts = sorted(int(qubits) for qubits, name in engines.items() if name == engine)
        runs = list(zip(_starts(counts), _starts(counts[::-1])[::-1], strict=True))
        texts.append(f"{engine}: {', '.join(f'{a}-{b}' if a < b else str(a) for a, b in runs)}")
    return "; ".join(texts) + " qubits"


def progress_line(search: Search) -> str:
    """Returns the same facts in one line."""
    progress = search.progress
    generation = 0 if progress.generation is None else min(progress.generation + 1, progress.generations)
    facts = [
        f"{search.state:<9}",
        f"generation {generation}/{progress.generations}",
        f"evaluated {progress.evaluated}/{progress.planned}",
        f"failed {progress.failed}",
        f"stopped early {progress.stopped}" if progress.stopped else "",
        _speed(search),
        _time_left(search),
        f"hypervolume {number(progress.hypervolume)}",
        f"front {progress.front_size}",
        search.notice or "",
    ]
    return "  ".join(fact for fact in facts if fact)


def search_table(searches: Iterable[Search]) -> Table:
    """Returns searches as a table, with the beginnings of their ids."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("evaluated", justify="right", no_wrap=True)
    table.add_column("front", justify="right", no_wrap=True)
    table.add_column("submitted", no_wrap=True)
    for search in searches:
        progress = search.progress
        table.add_row(
            search.id[:_SHOWN_OF_ID],
            plain(search.name),
            Text(search.state, _STYLE_OF_STATE[search.state]),
            f"{progress.evaluated}/{progress.planned}",
            str(progress.front_size),
            ago((datetime.now(UTC) - search.created_at).total_seconds()),
        )
    return table


def candidate_view(candidate: CandidateDetail) -> RenderableType:
    """Returns a candidate: its genes, metrics and circuit."""
    place = f"candidate {candidate.generation}.{candidate.index} of search {candidate.search_id}"
    note = f"{candidate.state}, on the front" if candidate.is_on_front else candidate.state
    genes = Table.grid(padding=(0, 2))
    for name in GENES:
        text = gene_of(candidate.genome, name)
        if text:
            genes.add_row(Text(name, "dim"), plain(text))
    metrics = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("metric", "value", "± error", "unit"):
        metrics.add_column(heading, justify="left" if heading in ("metric", "unit") else "right")
    for name, metric in sorted(candidate.metrics.items()):
        error = metric.std_error if isinstance(metric.std_error, str) else number(metric.std_error)
        metrics.add_row(plain(name), number(metric.value), error, plain(metric.unit))
    parts: list[RenderableType] = [Text.assemble((place, "bold"), f"  {note}"), Text(candidate.id, "dim")]
    engine, worker = candidate.evaluation.get("engine"), candidate.evaluation.get("worker")
    if engine:
        about = ", ".join(str(engine[key]) for key in ("precision", "device") if engine.get(key))
        parts.append(plain(f"simulated by {engine['name']} ({about}) on {worker}", "dim"))
    parts += [plain(text, "dim") for text in _fitted(candidate.evaluation)]
    if candidate.error:
        parts.append(plain(candidate.error, "red"))
    if candidate.stopped:
        parts.append(plain(candidate.stopped, "yellow"))
    if candidate.stages:
        parts.extend(["", stage_table(candidate)])
    return Group(*parts, "", genes, "", metrics, "", Text(candidate.drawing, no_wrap=True, overflow="ignore"))


def _fitted(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Yields how features became inputs, and what was trained; nothing of what an older worker did not record."""
    data, training = evaluation.get("data") or {}, evaluation.get("training")
    if "reduction" in data:
        yield f"{data['source_features']} features to {data['circuit_inputs']} inputs by {data['reduction']}"
    if not training:
        return
    rate = f"learning rate {training['learning_rate']:g}"
    if training.get("sweep"):
        rate += f", the best of {', '.join(format(trial['learning_rate'], 'g') for trial in training['sweep'])}"
    epochs = zip(training["epochs_reported"], training["epochs_run"], strict=True)
    yield f"trained with {rate}; reported: {', '.join(f'epoch {best} of {run}' for best, run in epochs)}"


def stage_table(candidate: CandidateDetail) -> Table:
    """Returns what each of several evaluations measured: what is exact for all stages is left out."""
    names = sorted({name for stage in candidate.stages for name, one in stage.metrics.items() if one.error is not None})
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("stage", "kind", "epochs", "state", *names):
        table.add_column(in_words(heading), justify="left" if heading in ("kind", "state") else "right")
    for stage in candidate.stages:
        values = (with_error(stage.metrics[name]) if name in stage.metrics else "" for name in names)
        table.add_row(str(stage.number), stage.kind, str(stage.epochs), stage.state, *values)
    return table


def measured(candidate: Candidate, objective: Objective) -> str:
    """Returns a value with its standard error, as `0.944 ±0.023`; without it where it is exact."""
    metric = candidate.metrics.get(objective.metric)
    if metric is None:
        return number((candidate.objectives or {}).get(objective.metric))
    return with_error(metric)


def with_error(metric: MetricValue) -> str:
    """Returns a measurement with its standard error, the same way."""
    if metric.value is None or metric.error is None:
        return number(metric.value)
    if metric.error <= 0:
        return f"{number(metric.value)} ±0"
    # Two digits of the error, and the value to the same place: more would be noise.
    n_decimals = min(max(0, 1 - math.floor(math.log10(metric.error))), _MOST_DECIMALS)
    return f"{metric.value:.{n_decimals}f} ±{metric.error:.{n_decimals}f}"


def number(value: float | None) -> str:
    """Returns a number at four digits, a dash where it is not known."""
    return "–" if value is None else f"{value:.4g}"  # a dash, not a minus


def plain(text: str, style: str = "") -> Text:
    """Returns somebody's text as it is, without markup and control characters."""
    return Text(_clean(text), style)


def duration(seconds: float) -> str:
    """Returns a duration in the two largest units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60:02d} min"


def ago(seconds: float) -> str:
    """Returns how long ago something was, in its largest unit."""
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{seconds // size_s:.0f} {unit} ago"
    return "just now"


def _follow_live(states: Iterator[Search], console: Console) -> Search:
    last = next(states)
    with Live(progress_panel(last), console=console, refresh_per_second=4) as live:
        for last in states:
            live.update(progress_panel(last))
    return last


def _follow_in_lines(states: Iterator[Search], console: Console) -> Search:
    shown: tuple[str, int | None] | None = None
    shown_at = 0.0
    for search in states:
        step = (search.state, search.progress.generation)
        if step != shown or time.monotonic() - shown_at >= _LINE_EVERY_S:
            console.print(plain(progress_line(search)), soft_wrap=True)
            shown, shown_at = step, time.monotonic()
    return search


def _starts(counts: list[int]) -> list[int]:
    """Returns those whose predecessor in the list is no neighbour: where runs of successive numbers start."""
    return [n for i, n in enumerate(counts) if i == 0 or abs(counts[i - 1] - n) > 1]


def _failed_and_cached(search: Search) -> Iterator[str | tuple[str, str]]:
    if search.progress.failed:
        yield (f"  {search.progress.failed} failed", "red")
    if search.progress.stopped:
        yield f"  {search.progress.stopped} stopped early"
    if search.progress.cached:
        yield f"  {search.progress.cached} known before"


def _speed(search: Search) -> str:
    speed = search.progress.evaluations_per_second
    return "" if speed is None else f"{speed:.3g} evaluations/s"


def _time_left(search: Search) -> str:
    left_s = search.progress.time_left_s
    return "" if left_s is None or search.has_ended else f"{duration(left_s)} left"


def _clean(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
