"""Hosts as os-hosts shows them, and what it has them do."""

import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import Amounts, HostResources
from kilonova.compute.interface import ComputeInterface
from kilonova.db import hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow
from kilonova.db.models.servers import InstanceRow


class HostControl:
    """Endpoint."""

    def __init__(self, conf: cfg.ConfigOpts, cell_db: Database, compute: ComputeInterface) -> None:
        self._conf, self._db, self._compute = conf, cell_db, compute

    @retry
    def get_host_resources(self, context: Ctx, host: str) -> HostResources:
        with self._db.reader() as session:
            nodes = sa.select(ComputeNodeRow).where(ComputeNodeRow.host == host)
            row = session.scalars(nodes.order_by(ComputeNodeRow.id).limit(1)).one_or_none()
            if row is None:
                raise exception.ComputeHostNotFound(host=host)
            servers = (
                sa.select(
                    InstanceRow.project_id,
                    sa.func.sum(InstanceRow.vcpus),
                    sa.func.sum(InstanceRow.memory_mb),
                    sa.func.sum(InstanceRow.root_gb + InstanceRow.ephemeral_gb),
                )
                .where(InstanceRow.host == host, InstanceRow.deleted == 0)
                .group_by(InstanceRow.project_id)
            )
            projects = {
                project: Amounts(*(int(value) for value in sums))
                for project, *sums in session.execute(servers)
            }
        used = Amounts(
            sum(one.vcpus for one in projects.values()),
            sum(one.memory_mb for one in projects.values()),
            sum(one.disk_gb for one in projects.values()),
        )
        node = hosts.to_node(
            row, hosts.Usage(vcpus=used.vcpus, memory_mb=used.memory_mb, local_gb=used.disk_gb)
        )
        return HostResources(
            total=Amounts(node.vcpus, node.memory_mb, node.local_gb),
            used_now=Amounts(node.vcpus_used, node.memory_mb_used, node.local_gb_used),
            used_max=used,
            projects=projects,
        )

    def host_power_action(self, context: Ctx, host: str, action: str) -> str:
        return self._reachable(host).host_power_action(context, action)

    def set_host_maintenance(self, context: Ctx, host: str, on: bool) -> bool:
        return self._reachable(host).set_host_maintenance(context, on)

    @retry
    def _reachable(self, host: str) -> ComputeInterface:
        with self._db.reader() as session:
            row = session.scalars(
                sa.select(ServiceRow).where(
                    ServiceRow.host == host, ServiceRow.binary == hosts.COMPUTE
                )
            ).one_or_none()
        if row is None:
            raise exception.ComputeHostNotFound(host=host)
        if not hosts.is_up(row, self._conf.service_down_time):
            raise exception.ComputeServiceUnavailable(host=host)
        return self._compute.at(host)
