"""Removing servers: guest, disks, ports, volumes."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.compute import report, shares
from kilonova.compute.host import Host
from kilonova.compute.operations import Abandoned, Task

LOG = logging.getLogger(__name__)


class DeleteEndpoint:
    """Removes servers from one host; supersedes whatever else runs for them here."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def terminate_server(self, context: RequestContext, server: Server, fence: Fence) -> None:
        self._host.operations.start(
            context,
            'delete',
            server.uuid,
            fence,
            lambda task: self._work(context, server, fence, task),
        )

    def remove_guest(self, context: RequestContext, server: Server, fence: Fence) -> None:
        self._host.operations.start(
            context, 'delete', server.uuid, fence, lambda task: self._remove(server)
        )

    def _remove(self, server: Server) -> None:
        LOG.info('Removing what is here of server %s', server.uuid)
        self._host.told.pop(server.uuid, None)
        self._host.driver.destroy(server, server.network_info)
        self._host.driver.confirm_move(server)

    def _work(self, context: RequestContext, server: Server, fence: Fence, task: Task) -> None:
        LOG.info('Deleting server %s (%s)', server.uuid, fence)
        try:
            self._remove(server)
            self._host.ports.deallocate(server)
            self._host.volumes.release(server)
            shares.release_all(self._host, server)
            self._host.driver.forget(server)
        except (exception.Superseded, Abandoned):
            raise
        except Exception as error:
            LOG.warning('Deleting server %s failed', server.uuid, exc_info=True)
            self._host.notices.failed(context, 'delete', error)
            self._report_failure(context, server, fence, error, task)
            return
        report.deliver_fenced(
            f'The deletion of server {server.uuid}',
            lambda: self._host.conductor.delete_finished(context, server.uuid, fence),
            task,
        )
        LOG.info('Server %s is deleted', server.uuid)

    def _report_failure(
        self, context: RequestContext, server: Server, fence: Fence, error: Exception, task: Task
    ) -> None:
        reason, details = report.describe(error)
        report.deliver(
            f'The failed deletion of server {server.uuid}',
            lambda: self._host.conductor.delete_failed(
                context, server.uuid, fence, reason, details
            ),
            task,
        )
