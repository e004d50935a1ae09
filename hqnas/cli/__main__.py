"""`python -m hqnas.cli` is `hqnas`."""

from hqnas.cli import main

main()
