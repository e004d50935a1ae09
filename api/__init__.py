"""The front door: REST over the database. It loads no simulator, no optimiser and no queue."""
