"""Reports on odd studies: quantities of one name that are not one, nothing on the front, names that are no words."""

import dataclasses
import sys

import pytest

from hqnas.client.confirmation import Confirmation
from hqnas.client.results import Objective
from hqnas.export import style
from hqnas.report import NothingToReport, Study, gather, make_report
from hqnas.report.comparison import coverages, gene_shares
from hqnas.report.conditions import conditions_of
from hqnas.report.correlation import Estimate
from hqnas.report.importance import importance
from hqnas.report.intervals import draw_intervals
from hqnas.report.section import Table, legend
from hqnas.report.sections.controls import controls
from hqnas.report.sections.fronts import fronts
from hqnas.report.sections.genes import shared_genes
from hqnas.report.sections.growth import hypervolume
from hqnas.report.sections.proxies import proxies
from hqnas.report.sections.trade_off import strata, trade_off
from hqnas.report.study import Row

from .studies import drawn, make_member

VARIANCE = {"metric": "gradient_variance", "goal": "maximize", "unit": "log10"}
ACCURACY = {"metric": "validation_accuracy", "goal": "maximize", "unit": "share"}


def two_modes(documents, **facts):
    return Study(
        (
            make_member(documents, drawn(10, 0.5), label="together", fronts=(0, 1), **facts),
            make_member(documents, drawn(10, 0.5, 2), label="apart", mode="quantum-only", fronts=(2,), **facts),
        )
    )


# What may be compared


def test_the_gradient_variance_of_two_modes_is_not_one_quantity_and_fronts_are_not_compared_in_it(documents):
    study = two_modes(documents, objectives=[ACCURACY, VARIANCE])
    assert [one.metric for one in study.shared_objectives] == ["validation_accuracy", "gradient_variance"]
    assert [one.metric for one in study.comparable_objectives] == ["validation_accuracy"]
    said = " ".join(fronts(study).sentences)
    assert "gradient variance is not one quantity in these searches: of the loss by all parameters" in said
    assert "of the loss by circuit weights, on moons (400 rows, 2 features), in batches of 16 in apart" in said
    assert "Compared in validation accuracy, over what is non-dominated in these alone." in said
    assert hypervolume(study).sentences[0].startswith("Of validation accuracy.")


def test_fronts_are_compared_over_what_is_best_in_the_objectives_that_are_one_quantity(documents):
    # The second is on the first front for its gradients alone, and dominated by a member of its own in accuracy.
    objectives = [ACCURACY, VARIANCE]
    one = make_member(documents, [(0.9, 0, 0.1), (0.5, 0, 0.9)], label="one", fronts=(0, 1), objectives=objectives)
    other = make_member(
        documents, [(0.8, 0, 0)], label="other", mode="quantum-only", fronts=(0,), objectives=objectives
    )
    study = Study((one, other))
    found = {(c.by, c.of): c.share for c in coverages(study, study.comparable_objectives)}
    assert found == {("one", "other"): 1.0, ("other", "one"): 0.0}


def test_values_within_the_errors_match_one_another(documents):
    # Accuracies are known to 0.02, and expressibilities to 0.01.
    one = make_member(documents, [(0.90, 0.50, 0)], label="one", fronts=(0,))
    near = make_member(documents, [(0.93, 0.50, 0), (0.95, 0.50, 0)], label="near", fronts=(0, 1))
    study = Study((one, near))
    (found,) = [c for c in coverages(study, study.comparable_objectives) if c.by == "one"]
    assert (found.share, found.share_within_errors) == (0.0, 0.5)


def test_searches_of_one_mode_are_compared_in_all_that_they_share(documents):
    one, other = (make_member(documents, drawn(10, 0.5), label=name, objectives=[ACCURACY, VARIANCE]) for name in "ab")
    assert Study((one, other)).comparable_objectives == Study((one, other)).shared_objectives


def test_searches_that_share_a_name_alone_are_not_compared_at_all(documents):
    study = two_modes(documents, objectives=[VARIANCE])
    assert study.comparable_objectives == ()
    assert not any("Compared" in sentence for sentence in fronts(study).sentences)
    section = hypervolume(study)
    assert (section.picture, section.table) == (None, None)


@pytest.mark.parametrize(
    ("metric", "one", "other"),
    [
        ("expressibility", {"metrics": {"expressibility": {"estimator": "sim75"}}}, {}),
        ("validation_accuracy", {"dataset": {"name": "circles"}}, {}),
        ("validation_accuracy", {"dataset": {"name": "moons", "samples": 100}}, {}),
        ("gradient_variance", {"dataset": {"name": "circles"}}, {}),
        ("noisy_accuracy", {"metrics": {"noise": {"readout": 0.1}}}, {"metrics": {"noise": {"readout": 0.2}}}),
        ("shot_accuracy", {"metrics": {"shots": 10}}, {"metrics": {"shots": 20}}),
        ("routed_depth", {"metrics": {"routing": {"coupling_map": "line"}}}, {"metrics": {"routing": {}}}),
    ],
)
def test_another_estimator_data_set_or_device_is_another_quantity(documents, metric, one, other):
    assert conditions_of(metric, {**documents.spec, **one}) != conditions_of(metric, {**documents.spec, **other})


@pytest.mark.parametrize(
    ("metric", "change"),
    [
        ("expressibility", {"dataset": {"name": "circles"}}),
        ("expressibility", {"training": {"mode": "quantum-only"}}),
        ("expressibility", {"metrics": {"expressibility": {"samples": 100}}}),
        ("validation_accuracy", {"training": {"mode": "quantum-only"}}),
        ("validation_accuracy", {"dataset": {"name": "moons", "samples": 400, "features": None}}),
        ("validation_accuracy", {"dataset": {"name": "moons", "reduce": {"pca": 1}}}),
        ("two_qubit_gates", {"training": {"mode": "quantum-only"}}),
        ("gradient_variance_pure", {"training": {"mode": "quantum-only"}}),
    ],
)
def test_what_does_not_change_the_quantity_does_not_part_searches(documents, metric, change):
    assert conditions_of(metric, {**documents.spec, **change}) == conditions_of(metric, documents.spec)


def test_versions_of_a_definition_are_not_compared(documents):
    older, newer = (make_member(documents, drawn(10, 0.5), label=name) for name in ("older", "newer"))
    for row in newer.rows:
        value = row.candidate.metrics["expressibility"]
        row.candidate.metrics["expressibility"] = dataclasses.replace(value, version=2)
    assert [one.metric for one in Study((older, newer)).comparable_objectives] == ["validation_accuracy"]


# What may stand in one statistic


def test_an_architecture_of_two_searches_counts_once_in_a_coefficient(documents):
    points = drawn(40, 0.3)
    one, other = (make_member(documents, points, label=name) for name in ("one", "other"))
    alone, both = trade_off(Study((one,))).table.rows[0], trade_off(Study((one, other))).table.rows[0]
    assert both == alone


def test_searches_of_one_mode_with_other_estimators_have_coefficients_of_their_own(documents):
    sim = {"metrics": {"expressibility": {"estimator": "sim75"}}}
    one = make_member(documents, drawn(40, 0.9), label="one")
    other = make_member(documents, drawn(40, -0.9, 2), label="other", spec=sim)
    section = trade_off(Study((one, other)))
    assert [row[:2] for row in section.table.rows] == [("full-hybrid, one", 40), ("full-hybrid, other", 40)]
    assert {row[0] for row in strata(Study((one, other))).table.rows} == {"full-hybrid, one", "full-hybrid, other"}


def test_accuracies_on_two_data_sets_are_not_foretold_together(documents):
    one = make_member(documents, drawn(40, 0.5), label="one")
    other = make_member(documents, drawn(40, 0.5, 2), label="other", spec={"dataset": {"name": "circles"}})
    section = proxies(Study((one, other)))
    assert {row[0] for row in section.table.rows} == {"full-hybrid, one", "full-hybrid, other"}


def test_a_search_without_the_trained_metric_is_named(documents):
    one, other = make_member(documents, drawn(40, 0.5), label="one"), make_member(documents, drawn(9, 0.5), label="two")
    for row in other.rows:
        del row.candidate.metrics["validation_accuracy"]
    assert "Not measured, and so left out: two." in proxies(Study((one, other))).sentences


# Templates, and genes with many values


def with_genomes(documents, genomes, **facts):
    return make_member(documents, [(0.01 * i, 0.5, 0) for i in range(len(genomes))], genomes=genomes, **facts)


BESIDE_TEMPLATES = {"rotations": [], "entangler": [], "topology": []}


def test_templates_are_counted_also_where_the_first_candidate_has_none(documents):
    genomes = [{}, {"template": "sim-1", **BESIDE_TEMPLATES}, {"template": "sim-4", **BESIDE_TEMPLATES}]
    found = gene_shares(Study((with_genomes(documents, genomes),)))
    shares = {(one.gene, one.value): one.evaluated["one"] for one in found}
    assert {value for gene, value in shares if gene == "template"} == {"layered", "sim-1", "sim-4"}
    assert shares["topology", "no effect"] == pytest.approx(2 / 3)


def test_a_forest_sees_the_template_also_where_the_first_candidate_has_none(documents):
    genomes = [{"template": "sim-1", **BESIDE_TEMPLATES} if i % 2 else {} for i in range(40)]
    member = make_member(documents, [(float(i % 2), 0.5, 0) for i in range(40)], genomes=genomes)
    assert "template" in {gene.gene for gene in importance(member.rows, "validation_accuracy").genes}


def test_a_gene_without_effect_is_no_stratum(documents):
    genomes = [{"template": "sim-1", **BESIDE_TEMPLATES} for _ in range(40)]
    study = Study((make_member(documents, drawn(40, 0.5), genomes=genomes),))
    assert {row[1] for row in strata(study).table.rows} == {"qubits", "layers"}


def test_a_gene_with_hundreds_of_sequences_is_drawn_by_its_most_frequent_ones(documents):
    genomes = [{"rotations": [["ry"] if i >> bit & 1 else ["rz"] for bit in range(9)]} for i in range(500)]
    section = shared_genes(Study((with_genomes(documents, genomes, fronts=(499,)),)))
    assert len(section.table.rows) == 500
    assert any("more than 8 values" in sentence for sentence in section.sentences)
    assert int.from_bytes(section.picture[20:24]) < 1_000  # of its height in pixels


def test_hundreds_of_intervals_are_drawn_by_the_first_of_them():
    estimates = {("one", f"line {i}"): Estimate(0.1, 0.0, 0.2) for i in range(3_000)}
    picture = draw_intervals({"": estimates}, groups=("one",), x_label="x")
    assert int.from_bytes(picture[20:24]) < 4_000  # of its height in pixels


def test_an_interval_that_does_not_hold_its_value_is_drawn():
    assert draw_intervals({"": {("one", "line"): Estimate(0.5, 0.6, 0.7)}}, groups=("one",), x_label="x")


# Volumes


def without_volumes(member, **facts):
    bare = tuple(dataclasses.replace(one, hypervolume=None) for one in member.generations)
    return dataclasses.replace(member, generations=bare, search=dataclasses.replace(member.search, **facts))


def test_a_search_that_ended_before_it_had_a_reference_point_gets_one_in_the_report(documents):
    member = without_volumes(make_member(documents, [(1.0, 0.0, 0), (0.0, 1.0, 0)], generations=[0, 1]))
    section = hypervolume(Study((member,)))
    assert section.sentences[0].startswith("The search ended before it had a reference point; here it is worse by")
    assert [row[1:] for row in section.table.rows] == [(1, pytest.approx(1.21)), (2, pytest.approx(1.21))]


def test_a_grid_has_the_volumes_up_to_the_point_that_was_fixed_at_its_end(documents):
    point = {"validation_accuracy": 0.0, "expressibility": 2.0}
    member = make_member(documents, [(1.0, 0.0, 0), (0.0, 1.0, 0)], generations=[0, 1])
    section = hypervolume(Study((without_volumes(member, reference_point=point),)))
    assert section.sentences == (
        "The reference point was fixed at the end of the search, from all that it had evaluated.",
    )
    assert [row[2] for row in section.table.rows] == [2.0, 2.0]


def infeasible(member):
    rows = [Row(r.search, r.label, dataclasses.replace(r.candidate, violation=1.0)) for r in member.rows]
    return dataclasses.replace(member, rows=tuple(rows))


def test_a_search_with_nothing_within_its_bounds_is_reported(documents):
    genomes = [{"qubits": 2 + i % 3} for i in range(10)]
    study = Study((without_volumes(infeasible(make_member(documents, drawn(10, 0.5), genomes=genomes))),))
    report = make_report(study, folder="parts")
    assert "No candidate holds the constraints" in report.html
    assert "one: nothing is on the front." in report.html


# Few and many objectives, and scores


@pytest.mark.parametrize("n", [1, 5])
def test_one_and_five_objectives_are_drawn(documents, n):
    names = ("validation_accuracy", "expressibility", "gradient_variance", "two_qubit_gates", "qubits")
    objectives = [{"metric": name, "goal": "minimize", "unit": "count"} for name in names[:n]]
    member = make_member(documents, drawn(10, 0.5), fronts=(1,), objectives=objectives)
    assert fronts(Study((member,))).picture.startswith(b"\x89PNG")


def test_one_candidate_is_a_report(documents):
    assert make_report(Study((make_member(documents, [(0.5, 0.5, 0.0)], fronts=(0,)),)), folder="parts").html


def test_accuracies_and_r2_of_controls_do_not_share_an_axis(documents, monkeypatch):
    panels: list[str] = []
    module = sys.modules["hqnas.report.sections.controls"]
    monkeypatch.setattr(module, "draw_intervals", lambda found, **_: panels.extend(found) or b"png")
    members = []
    for label, score in (("one", "test_accuracy"), ("two", "test_r2")):
        confirmation = Confirmation.from_json(documents.confirmation(metric={"name": score}))
        member = make_member(documents, [(0.5, 0.5, 0)], label=label)
        members.append(dataclasses.replace(member, confirmation=confirmation))
    controls(Study(tuple(members)))
    assert panels == ["test accuracy", "test R²"]


# Names


@pytest.mark.parametrize("name", ["_hidden", r"cost $\nonsense{$", "<script>alert(1)</script>", "=1+1", "**b** [x](y)"])
def test_whatever_a_search_is_called_its_name_is_drawn_as_it_is_in_every_legend(documents, name, monkeypatch):
    from matplotlib.figure import Figure

    legends: list[list[str]] = []

    def remembered(self, handles, labels, **options):
        legends.append(list(labels))
        return genuine(self, handles, labels, **options)

    genuine = Figure.legend
    monkeypatch.setattr(Figure, "legend", remembered)
    genomes = [{"qubits": 2 + i % 3} for i in range(40)]
    one = make_member(documents, drawn(40, 0.5), fronts=(1, 2), label=name, genomes=genomes)
    other = make_member(documents, drawn(40, -0.2, 2), fronts=(4,), label="two", genomes=genomes)
    found = [section(Study((one, other))) for section in (fronts, hypervolume, shared_genes)]
    as_drawn = name.replace("$", r"\$")
    assert [any(as_drawn in label for label in labels) for labels in legends] == [True] * 3
    cells = [cell for section in found for line in section.table.to_csv().splitlines() for cell in line.split(",")]
    assert not any(cell.startswith("=") for cell in cells)


def test_a_heading_is_no_formula():
    assert Table(("=1+1", "+1"), ()).to_csv() == "'=1+1,'+1\n"


def test_coverage_of_a_front_that_is_empty_is_left_out(documents):
    one, other = (make_member(documents, drawn(10, 0.5), label=name, fronts=f) for name, f in (("a", ()), ("b", (1,))))
    study = Study((one, other))
    assert [(found.of, found.by, found.share) for found in coverages(study, study.comparable_objectives)] == [
        ("b", "a", 0.0)
    ]


def scale_of(values):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    style.scale(axes, "x", Objective("entangling_capability", "maximize", "Meyer-Wallach Q"), values)
    return axes.get_xscale()


def test_what_is_zero_but_for_rounding_makes_no_decades():
    assert scale_of([3e-16, 0.2, 0.7]) == "linear"
    assert scale_of([1e-4, 0.2, 0.7]) == "log"


def test_one_objective_is_drawn_in_the_order_of_proposal(documents, monkeypatch):
    from matplotlib.axes import Axes

    drawn_x = []
    monkeypatch.setattr(Axes, "scatter", lambda _, x, *__, **___: drawn_x.append(x))
    member = make_member(documents, drawn(4, 0.5), fronts=(1,), objectives=[ACCURACY])
    fronts(Study((member,)))
    assert drawn_x == [[1.0, 3.0, 4.0]]


def test_a_legend_of_long_names_stays_within_its_picture(documents):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 4.4))
    axes = figure.subplots()
    for name in ("a", "b"):
        axes.plot([0], [0], label=style.plain_text(name * 120) + ": front, ± one standard error")
    legend(figure, [axes])
    figure.draw_without_rendering()
    (drawn_legend,) = figure.legends
    box = drawn_legend.get_window_extent()
    assert (box.x0 >= 0, box.x1 <= figure.bbox.x1) == (True, True)


def test_a_search_that_ended_with_nothing_is_not_told_to_be_waited_for(api, client, documents):
    api.candidates = []
    api.searches[documents.older_id]["state"] = "failed"
    with pytest.raises(NothingToReport, match="has no evaluated candidate; it is failed"):
        gather(client, [documents.older_id])
