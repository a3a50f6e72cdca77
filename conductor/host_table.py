"""What the scheduler has to know of every host, in eight statements (nine with image properties)."""

from oslo_config import cfg

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import Aggregate, HostState, HostTable
from kilonova.conductor.hypervisors import node_query
from kilonova.db import aggregates, hosts, layouts
from kilonova.db.engine import Database, retry


class Hosts:
    """Endpoint."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        api_db: Database,
        cell_db: Database,
        cell_id: int | None = None,
    ) -> None:
        self._conf, self._api, self._cell, self._cell_id = conf, api_db, cell_db, cell_id

    @retry
    def get_host_table(self, context: Ctx, image_properties: bool = False) -> HostTable:
        with self._cell.reader() as session:
            # The version first: what changes while we read makes the table newer than it says.
            version = hosts.version(session)
            rows = session.execute(node_query()).all()
            used = hosts.usage(session)
            there = hosts.servers_on(session)
            taken = layouts.taken(session)
            images = hosts.image_properties(session) if image_properties else {}
        with self._api.reader() as session:
            every = aggregates.find_all(session)
        members: dict[str, list[Aggregate]] = {}
        for aggregate in every:
            for host in aggregate.hosts:
                members.setdefault(host, []).append(aggregate)
        # A host's aggregates name that host alone: the scheduler asks of a host where it is,
        # and with all names each host would carry those of its whole zone.
        zones = {
            host: {a.availability_zone for a in found if a.availability_zone}
            for host, found in members.items()
        }
        given = {host: found for host, found in zones.items() if found}
        states = []
        for node, service in rows:
            key = (node.host, node.hypervisor_hostname)
            usage = used.get(key, hosts.NOTHING)
            states.append(
                HostState(
                    node=hosts.to_node(node, usage),
                    service=hosts.to_service(
                        service,
                        self._conf.service_down_time,
                        aggregates.zone_of(self._conf, given, node.host, hosts.COMPUTE),
                    ),
                    aggregates=[_alone(a, node.host) for a in members.get(node.host, ())],
                    num_instances=usage.servers,
                    num_io_ops=usage.io_ops,
                    failed_builds=node.failed_builds,
                    instances={uuid: project for uuid, _, project in there.get(key, ())},
                    image_properties=images.get(key, {}),
                    cell_id=self._cell_id,
                    guests=list(taken[key].guests.values()) if key in taken else [],
                    pci_taken=sorted(taken[key].devices) if key in taken else [],
                )
            )
        return HostTable(version=version, hosts=states)


def _alone(aggregate: Aggregate, host: str) -> Aggregate:
    return Aggregate(
        id=aggregate.id,
        uuid=aggregate.uuid,
        name=aggregate.name,
        hosts=[host],
        metadata=aggregate.metadata,
    )
