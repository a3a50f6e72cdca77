"""What the commands share."""

import contextlib
from typing import Any

from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.db import cells
from kilonova.db.engine import Database
from kilonova.db.models.api import CellMapping


class CommandError(Exception):
    """Ends a command with a message and an exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def find_cell(session: Session, uuid: str) -> CellMapping:
    """Return a cell's mapping, or end the command with exit code 1."""
    try:
        return cells.find(session, uuid)
    except exception.CellMappingNotFound:
        raise CommandError(f'Cell with uuid {uuid} was not found.') from None


class Databases(contextlib.ExitStack):
    """Opens the databases that a command asks for, and closes them at the end."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf
        self._open: dict[str, Database] = {}

    def api(self) -> Database:
        """Return the API database."""
        return self._connect(self._configured('api_database'), self._conf.api_database)

    def cell(self) -> Database:
        """Return the database of ``[database]connection``."""
        return self._connect(self._configured('database'), self._conf.database)

    def mapped(self, mapping: CellMapping) -> Database:
        """Return a cell's database."""
        return self._connect(cells.database_url(self._conf, mapping), self._conf.database)

    def _configured(self, group: str) -> str:
        url = self._conf[group].connection
        if not url:
            raise CommandError(f'[{group}]connection is not set in the configuration.')
        return str(url)

    def _connect(self, url: str, group: Any) -> Database:
        if url not in self._open:
            database = Database(url, group)
            self.callback(database.close)
            self._open[url] = database
        return self._open[url]
