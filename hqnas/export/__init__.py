"""Files of a search: its front as CSV, JSON and a picture, and one member as PennyLane source.

A CSV depends on nothing but the search's results: two equal searches give files that are equal to the last byte.
"""

from hqnas.export.confirmation import trials_to_csv
from hqnas.export.files import CannotExport, write_file
from hqnas.export.genes import architecture, gene_of, gene_text
from hqnas.export.names import in_words
from hqnas.export.picture import picture
from hqnas.export.table import curves_to_csv, to_csv, to_json

__all__ = [
    "CannotExport",
    "architecture",
    "curves_to_csv",
    "gene_of",
    "gene_text",
    "in_words",
    "picture",
    "to_csv",
    "to_json",
    "trials_to_csv",
    "write_file",
]
