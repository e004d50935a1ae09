"""Alembic migrations, one dated file a change; they import no application code."""
