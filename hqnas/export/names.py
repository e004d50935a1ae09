"""Names of metrics and genes as a person reads them."""

from typing import Final

_WRITTEN: Final = {"r2": "R²", "f1": "F1", "auc": "AUC"}


def in_words(name: str) -> str:
    """Returns the name of a metric or a gene in words, as `two-qubit gates` or `validation R²`."""
    words = [_WRITTEN.get(word, word) for word in name.split("_")]
    return " ".join(words).replace("two qubit", "two-qubit")
