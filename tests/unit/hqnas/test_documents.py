from pathlib import Path

import pytest

from hqnas.client import UnreadableSpec, read_document
from hqnas.client.documents import to_document


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSpec, match=r"absent\.yaml: No such file"):
        read_document(tmp_path / "absent.yaml")


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\nspace: [1, 2\nbudget: 3\n")

    with pytest.raises(UnreadableSpec, match="line 3, column"):
        read_document(path)


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{"name": "a",\n "space": }')

    with pytest.raises(UnreadableSpec, match="line 2, column 11"):
        read_document(path)


def test_yaml_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\nspace: {qubits: 2, qubits: 3}\n")

    with pytest.raises(UnreadableSpec, match=r"line 2.*'qubits' stands twice"):
        read_document(path)


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1.5E2", 150.0), ("-2e+1", -20.0), ("1e-3x", "1e-3x")])
def test_exponents_in_yaml_are_numbers(tmp_path: Path, text: str, value: float | str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"rate: {text}\n")

    assert read_document(path) == {"rate": value}


def test_binary_file_is_no_spec(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UnreadableSpec, match="no text in UTF-8"):
        read_document(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.yaml", "name: !!bool abc"),
        ("spec.yaml", "name: !!timestamp abc"),
        ("spec.yaml", "name: 2020-99-99"),
        ("spec.yaml", f"name: {'9' * 5_000}"),
        ("spec.yaml", "name: " + "[" * 5_000),
        ("spec.json", f'{{"name": {"9" * 5_000}}}'),
        ("spec.json", "[" * 100_000),
    ],
)
def test_value_that_the_decoder_chokes_on_is_a_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(UnreadableSpec, match="cannot be read"):
        read_document(tmp_path / name)


@pytest.mark.parametrize("value", [".nan", "[0.1, -.inf]"])
def test_a_number_that_no_json_can_say_is_named_with_its_path(tmp_path: Path, value: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"space:\n  learning_rate: {value}\n")
    with pytest.raises(UnreadableSpec, match=r"spec\.yaml: space\.learning_rate(\.1)? is (nan|-inf), and"):
        to_document(path)
    with pytest.raises(UnreadableSpec, match=r"^space\.learning_rate"):
        to_document(read_document(path))
