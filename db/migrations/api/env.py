"""Run by alembic when it migrates the api database."""

from kilonova.db.migrations import schema

schema.run_environment('api')
