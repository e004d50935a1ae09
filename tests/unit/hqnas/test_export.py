import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hqnas.client.results import Candidate, Generation, Objective, Search
from hqnas.export import CannotExport, architecture, gene_of, gene_text, picture, to_csv, write_file
from hqnas.export.picture import steps

ACCURACY = Objective("validation_accuracy", "maximize", "share")
EXPRESSIBILITY = Objective("expressibility", "minimize", "nats")
TRAINABILITY = Objective("gradient_variance", "maximize", "log10")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def candidates(documents: Any) -> list[Candidate]:
    values = [(0.9, 0.5), (0.95, 0.8), (0.9, 0.1)]
    return [
        Candidate.from_json(documents.candidate(i, accuracy=a, expressibility=e, is_on_front=i > 0))
        for i, (a, e) in enumerate(values)
    ]


def test_csv_is_sorted_from_best_to_worst(candidates: list[Candidate]) -> None:
    text = to_csv(candidates, (ACCURACY, EXPRESSIBILITY))

    assert [row["validation_accuracy"] + " " + row["expressibility"] for row in rows(text)] == [
        "0.95 0.8",
        "0.9 0.1",
        "0.9 0.5",
    ]


def test_csv_does_not_depend_on_the_order_of_candidates(candidates: list[Candidate]) -> None:
    objectives = (ACCURACY, EXPRESSIBILITY)

    assert to_csv(candidates, objectives) == to_csv(candidates[::-1], objectives)


def test_csv_has_the_single_values_of_what_was_measured_more_than_once(documents: Any) -> None:
    document = documents.candidate(0, accuracy=0.9, expressibility=0.2)
    document["metrics"]["expressibility"] |= {"per_replicate": [0.1, 0.3]}
    (row,) = rows(to_csv([Candidate.from_json(document)], (ACCURACY, EXPRESSIBILITY)))

    assert row["expressibility_per_replicate"] == "0.1 0.3"
    assert "validation_accuracy_per_replicate" not in row


def test_csv_holds_no_id_and_no_time(candidates: list[Candidate], documents: Any) -> None:
    text = to_csv(candidates, (ACCURACY,))

    assert candidates[0].id not in text
    assert candidates[0].search_id not in text


def test_csv_of_an_equal_search_with_other_ids_is_the_same(documents: Any) -> None:
    def search(ids: str) -> str:
        tied = [documents.candidate(i, accuracy=0.9, expressibility=0.5) | {"id": ids[i]} for i in range(2)]
        return to_csv([Candidate.from_json(document) for document in tied], (ACCURACY, EXPRESSIBILITY))

    assert search("ab") == search("ba")


def test_no_two_columns_have_one_name(documents: Any) -> None:
    document = documents.candidate(0, accuracy=0.9, expressibility=0.5)
    document["metrics"]["layers"] = {"value": 2, "std_error": "exact", "unit": "count", "version": 1}
    header = to_csv([Candidate.from_json(document)], (ACCURACY,)).splitlines()[0].split(",")

    assert "layers" in header
    assert len(set(header)) == len(header)


def test_csv_keeps_all_digits(documents: Any) -> None:
    value = 0.1 + 0.2
    candidate = Candidate.from_json(documents.candidate(0, accuracy=value, expressibility=1.0))

    assert float(rows(to_csv([candidate], (ACCURACY,)))[0]["validation_accuracy"]) == value


def test_csv_has_the_standard_error_beside_each_metric(candidates: list[Candidate]) -> None:
    header = next(csv.reader(io.StringIO(to_csv(candidates, (EXPRESSIBILITY,)))))

    assert header[header.index("expressibility") + 1] == "expressibility_std_error"


def test_csv_has_the_objectives_first(candidates: list[Candidate]) -> None:
    header = next(csv.reader(io.StringIO(to_csv(candidates, (EXPRESSIBILITY, ACCURACY)))))

    assert [name for name in header if name in ("expressibility", "validation_accuracy", "two_qubit_gates")] == [
        "expressibility",
        "validation_accuracy",
        "two_qubit_gates",
    ]


def test_exact_metrics_say_so(candidates: list[Candidate]) -> None:
    assert rows(to_csv(candidates, (ACCURACY,)))[0]["two_qubit_gates_std_error"] == "exact"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_text_that_a_spreadsheet_would_run_is_quoted(documents: Any, start: str) -> None:
    genome = documents.candidate(0)["genome"] | {"encoding": start + "HYPERLINK(1)"}
    candidate = Candidate.from_json(documents.candidate(0, accuracy=0.5, expressibility=1.0, genome=genome))

    assert rows(to_csv([candidate], (ACCURACY,)))[0]["encoding"] == "'" + start + "HYPERLINK(1)"


def test_negative_numbers_stay_numbers(documents: Any) -> None:
    candidate = Candidate.from_json(documents.candidate(0, accuracy=-2.5, expressibility=1.0))

    assert rows(to_csv([candidate], (ACCURACY,)))[0]["validation_accuracy"] == "-2.5"


def test_csv_of_an_empty_front_is_its_header(candidates: list[Candidate]) -> None:
    text = to_csv([], (ACCURACY,))

    assert text.startswith("generation,index,digest")
    assert text.count("\n") == 1


def test_gene_that_differs_between_layers_shows_each() -> None:
    assert gene_text("rotations", [["ry"], ["ry", "rz"]]) == "ry / ry rz"


def test_gene_that_all_layers_share_is_shown_once() -> None:
    assert gene_text("topology", ["ring", "ring", "ring"]) == "ring"


def test_no_hidden_layers_are_none() -> None:
    assert gene_text("pre_layers", []) == "none"


def test_architecture_without_entanglement_says_so(documents: Any) -> None:
    genome = documents.candidate(0)["genome"] | {"topology": ["none", "none"], "entangler": [None, None]}

    assert "no entangler" in architecture(genome)


def test_architecture_of_a_template_names_it_in_place_of_the_genes_of_layers(documents: Any) -> None:
    genome = documents.candidate(0)["genome"]
    genome |= {"template": "sim-14", "rotations": [], "topology": [], "entangler": []}

    assert "sim-14" in architecture(genome)
    assert "entangler" not in architecture(genome)
    assert [gene_of(genome, name) for name in ("template", "rotations", "entangler")] == ["sim-14", "", ""]


def test_a_genome_that_names_no_template_is_layered(documents: Any) -> None:
    assert gene_of(documents.candidate(0)["genome"], "template") == "layered"


def test_written_file_replaces_the_old_one_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "front.csv"
    write_file(path, "old")

    write_file(path, "new")

    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "front.csv"
    write_file(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", fail)

    with pytest.raises(CannotExport, match="No space left"):
        write_file(path, "new")
    assert path.read_text() == "old"


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotExport, match=r"cannot write .*file/front\.csv: "):
        write_file(tmp_path / "file" / "front.csv", "x")


def test_folder_is_not_overwritten_and_no_draft_stays(tmp_path: Path) -> None:
    (tmp_path / "front.csv").mkdir()

    with pytest.raises(CannotExport, match="Is a directory"):
        write_file(tmp_path / "front.csv", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "front.csv"]


def a_picture(
    documents: Any, objectives: tuple[Objective, ...], *, name: str = "small", generations: Any = None
) -> bytes:
    pytest.importorskip("matplotlib")
    listed = [{"metric": o.metric, "goal": o.goal, "unit": o.unit} for o in objectives]
    search = Search.from_json(documents.search(objectives=listed, name=name))
    candidates = []
    for i in range(6):
        document = documents.candidate(i, accuracy=0.5 + i / 20, expressibility=0.1 * 3**i, is_on_front=i > 3)
        document["objectives"] |= {"gradient_variance": -i, "two_qubit_gates": i, "layers": 1, "flops": 9}
        candidates.append(Candidate.from_json(document))
    history = documents.generations if generations is None else generations
    return picture(search, candidates, [Generation.from_json(one) for one in history], best=candidates[-1])


COUNTS = tuple(Objective(name, "minimize", "count") for name in ("two_qubit_gates", "layers", "flops"))


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4, 6])
def test_picture_is_drawn_for_any_number_of_objectives(documents: Any, n_objectives: int) -> None:
    objectives = (ACCURACY, EXPRESSIBILITY, TRAINABILITY, *COUNTS)[:n_objectives]

    assert a_picture(documents, objectives).startswith(b"\x89PNG")


def test_stairs_go_through_the_best_values_alone(candidates: list[Candidate]) -> None:
    assert steps(candidates, EXPRESSIBILITY, ACCURACY) == [(0.1, 0.9), (0.8, 0.95)]


def test_equal_results_give_equal_pictures(documents: Any) -> None:
    objectives = (ACCURACY, EXPRESSIBILITY)

    assert a_picture(documents, objectives) == a_picture(documents, objectives)


def test_name_that_looks_like_a_formula_is_drawn_as_text(documents: Any) -> None:
    assert a_picture(documents, (ACCURACY, EXPRESSIBILITY), name="$\\frac{1$ 猫").startswith(b"\x89PNG")


def test_picture_before_the_first_generation_is_drawn(documents: Any) -> None:
    assert a_picture(documents, (ACCURACY, EXPRESSIBILITY), generations=[]).startswith(b"\x89PNG")


def test_drawing_without_matplotlib_says_what_to_install(documents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(CannotExport, match=r"hqnas\[plot\]"):
        picture(Search.from_json(documents.search()), [], [])
