"""Run by alembic when it migrates the cell database."""

from kilonova.db.migrations import schema

schema.run_environment('cell')
