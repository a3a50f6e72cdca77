"""Compute hosts that no cell is recorded for."""

import sqlalchemy as sa
from oslo_log import log as logging

from kilonova.common.context import RequestContext as Ctx
from kilonova.db import cells, hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.api import HostMapping
from kilonova.db.models.cell import ServiceRow

LOG = logging.getLogger(__name__)


class HostDiscovery:
    """Endpoint for ``discover_hosts``.

    A host is mapped when it starts; this finds the ones whose mapping was deleted meanwhile, or
    whose records are older than the mappings.
    """

    def __init__(self, api_db: Database, cell_db: Database, cell_id: int) -> None:
        self._api, self._cell, self._cell_id = api_db, cell_db, cell_id

    @retry
    def discover_hosts(self, context: Ctx) -> list[str]:
        with self._cell.reader() as session:
            there = set(
                session.scalars(
                    sa.select(ServiceRow.host).where(ServiceRow.binary == hosts.COMPUTE)
                )
            )
        with self._api.reader() as session:
            unknown = there - set(session.scalars(sa.select(HostMapping.host)))
        if not unknown:
            return []
        with self._api.transaction() as session:
            new = [one for one in sorted(unknown) if cells.map_host(session, one, self._cell_id)]
        LOG.info('Compute hosts that are mapped to this cell now: %s', ', '.join(new))
        return new
