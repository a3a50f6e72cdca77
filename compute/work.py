"""Work of the conductor's procedures: one endpoint, a handler for each kind of work."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.metadata import devices
from kilonova.common.objects import work
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.place import Places
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import HostWork, WorkResult
from kilonova.compute import report
from kilonova.compute.host import Host
from kilonova.compute.operations import Abandoned, Task
from kilonova.compute.virt.driver import PowerState

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Job:
    """One piece of work.  ``task.check()`` before each step that takes its time."""

    host: Host
    task: Task
    context: RequestContext
    server: Server
    fence: Fence
    work: Any
    undo: Callable[[], None] | None = None
    """Set by a handler: what to do when the conductor does not want the result any more."""

    def progress(self, task_state: str) -> None:
        """Show how far it is.  Raises Superseded."""
        uuid, fence = self.server.uuid, self.fence
        if not report.deliver_fenced(
            f'The progress of server {uuid}',
            lambda: self.host.conductor.server_progress(self.context, uuid, fence, task_state),
            self.task,
        ):
            raise exception.Superseded(operation=fence.operation, uuid=uuid)


PLACING = (
    work.Start,
    work.Restore,
    work.Reboot,
    work.Rebuild,
    work.Evacuate,
    work.Unshelve,
    work.FinishMove,
    work.RevertMove,
)
"""Kinds of work after which devices may be elsewhere in a guest."""
Handler = Callable[[Job], WorkResult | None]
"""What does a kind of work; it has removed what it made before it raises."""


class WorkEndpoint:
    """Does work on one host, one piece at a time for a server."""

    def __init__(self, host: Host, handlers: Mapping[type, Handler]) -> None:
        self._host, self._handlers = host, handlers

    def perform(
        self, context: RequestContext, server: Server, fence: Fence, work: HostWork
    ) -> None:
        kind = type(work).__struct_config__.tag
        self._host.operations.start(
            context,
            str(kind),
            server.uuid,
            fence,
            lambda task: self._do(Job(self._host, task, context, server, fence, work), str(kind)),
        )

    def _do(self, job: Job, kind: str) -> None:
        uuid = job.server.uuid
        LOG.info('%s of server %s', kind.capitalize(), uuid)
        result = self._result(job, kind)
        if result.error is None and isinstance(job.work, PLACING) and devices.are_told(job.server):
            result.places = self._places(job.server)
        if result.power_state is None and job.server.host == self._host.name:
            result.power_state = int(self._power_state(uuid))
        if report.deliver_fenced(
            f'The {kind} of server {uuid}',
            lambda: self._host.conductor.work_finished(job.context, uuid, job.fence, result),
            job.task,
        ):
            if result.power_state is not None:
                self._host.told[uuid] = result.power_state
        elif job.undo is not None:
            job.undo()

    def _result(self, job: Job, kind: str) -> WorkResult:
        try:
            return self._handlers[type(job.work)](job) or WorkResult()
        except (exception.Superseded, Abandoned):
            raise
        except Exception as error:
            LOG.warning('The %s of server %s failed', kind, job.server.uuid, exc_info=True)
            self._host.notices.failed(job.context, kind, error)
            reason, details = report.describe(error)
            code = error.code if isinstance(error, exception.KilonovaError) else 500
            return WorkResult(error=reason, details=details, code=code)

    def _places(self, server: Server) -> Places | None:
        try:
            return self._host.driver.get_places(server)
        except exception.KilonovaError as error:
            LOG.warning('Server %s does not tell where its devices are: %s', server.uuid, error)
            return None

    def _power_state(self, uuid: str) -> PowerState:
        try:
            return self._host.driver.get_power_state(uuid)
        except exception.KilonovaError as error:
            LOG.info('Server %s has no power state: %s', uuid, error)
            return PowerState.NOSTATE
