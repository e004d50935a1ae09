"""Which work is done at which sizes: one module for each part of the report."""
