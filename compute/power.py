"""Starting, stopping and rebooting servers."""

from collections.abc import Callable

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.compute import report
from kilonova.compute.host import Host
from kilonova.compute.operations import Abandoned, Task
from kilonova.compute.virt.driver import PowerState

LOG = logging.getLogger(__name__)


class PowerEndpoint:
    """Changes the power of servers on one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def start_server(self, context: RequestContext, server: Server, fence: Fence) -> None:
        driver = self._host.driver
        self._begin(
            'start', context, server, fence, lambda: driver.power_on(server, server.network_info)
        )

    def stop_server(
        self, context: RequestContext, server: Server, fence: Fence, timeout: int
    ) -> None:
        driver = self._host.driver
        self._begin('stop', context, server, fence, lambda: driver.power_off(server, timeout))

    def reboot_server(
        self, context: RequestContext, server: Server, fence: Fence, kind: str
    ) -> None:
        driver = self._host.driver
        self._begin(
            'reboot',
            context,
            server,
            fence,
            lambda: driver.reboot(server, server.network_info, kind),
        )

    def _begin(
        self,
        kind: str,
        context: RequestContext,
        server: Server,
        fence: Fence,
        change: Callable[[], None],
    ) -> None:
        def work(task: Task) -> None:
            error, details = self._change(kind, server, change)
            state = int(self._state_of(server.uuid))
            if report.deliver_fenced(
                f'The {kind} of server {server.uuid}',
                lambda: self._host.conductor.power_finished(
                    context, server.uuid, fence, state, error, details
                ),
                task,
            ):
                self._host.told[server.uuid] = state

        self._host.operations.start(context, kind, server.uuid, fence, work)

    def _change(
        self, kind: str, server: Server, change: Callable[[], None]
    ) -> tuple[str | None, str | None]:
        """Do it; returns what went wrong, for the user and for the operator."""
        LOG.info('%s of server %s', kind.capitalize(), server.uuid)
        try:
            change()
        except (exception.Superseded, Abandoned):
            raise
        except Exception as error:
            LOG.warning('The %s of server %s failed', kind, server.uuid, exc_info=True)
            return report.describe(error)
        return None, None

    def _state_of(self, uuid: str) -> PowerState:
        try:
            return self._host.driver.get_power_state(uuid)
        except exception.KilonovaError as error:
            LOG.warning('The power state of server %s is not known: %s', uuid, error)
            return PowerState.NOSTATE
