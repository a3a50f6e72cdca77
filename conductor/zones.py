"""Which availability zone a service is in."""

from oslo_config import cfg

from kilonova.common.objects.host import Service
from kilonova.db import aggregates, hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ServiceRow


@retry
def complete(conf: cfg.ConfigOpts, api_db: Database, rows: list[ServiceRow]) -> list[Service]:
    """Return the values for rows of services, with zone and liveness; one statement."""
    names = {row.host for row in rows if row.binary == hosts.COMPUTE}
    given: dict[str, set[str]] = {}
    if names:
        with api_db.reader() as session:
            # A few hosts are asked for by name; of many, all zones are cheaper to read.
            given = aggregates.zones(session, names if len(names) < 50 else None)
    return [
        hosts.to_service(
            row,
            conf.service_down_time,
            aggregates.zone_of(conf, given, row.host, row.binary),
        )
        for row in rows
    ]
