"""What the endpoints of one host share."""

import dataclasses

from oslo_config import cfg

from kilonova.common.context import RequestContext
from kilonova.common.objects.server import Server
from kilonova.compute import report
from kilonova.compute.doubt import Doubt
from kilonova.compute.events import PlugEvents
from kilonova.compute.inventory import HostInventory
from kilonova.compute.network import Ports
from kilonova.compute.notices import Notices
from kilonova.compute.operations import Operations, Slots, Task
from kilonova.compute.virt.driver import Driver
from kilonova.compute.volumes import Volumes
from kilonova.conductor.interface import ConductorInterface


@dataclasses.dataclass
class Host:
    """One hypervisor host that this process serves."""

    name: str
    conf: cfg.ConfigOpts
    driver: Driver
    conductor: ConductorInterface
    ports: Ports
    volumes: Volumes
    inventory: HostInventory
    notices: Notices = dataclasses.field(default_factory=Notices)
    operations: Operations = dataclasses.field(default_factory=Operations)
    events: PlugEvents = dataclasses.field(default_factory=PlugEvents)
    told: dict[str, int] = dataclasses.field(default_factory=dict)
    """The power states that the conductor has from us, so that only news is sent."""
    wishes: dict[str, str] = dataclasses.field(default_factory=dict)
    """What is wanted of live migrations that leave this host, by migration."""

    def __post_init__(self) -> None:
        self.leaving = Slots(self.conf.max_concurrent_live_migrations)
        self.snapshots = Slots(self.conf.max_concurrent_snapshots)
        self.doubt = Doubt(self.conf.report_interval)
        self.operations.is_doubtful = self.doubt.is_due
        self.operations.is_wanted = self._is_wanted

    def shutdown_timeout(self, server: Server) -> int:
        """Return how many seconds a guest gets to shut down by itself."""
        wanted = server.image.properties.get('os_shutdown_timeout')
        try:
            return int(wanted) if wanted is not None else int(self.conf.shutdown_timeout)
        except ValueError:
            return int(self.conf.shutdown_timeout)

    def _is_wanted(self, context: RequestContext, task: Task) -> bool:
        """Ask whether a task's operation goes on as of that attempt."""
        uuid, fence = task.uuid, task.fence
        return fence is None or report.deliver_fenced(
            f'The {task.kind} of server {uuid}',
            lambda: self.conductor.is_wanted(context, uuid, fence),
            task,
        )
