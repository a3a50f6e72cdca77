"""Power states: what guests do by themselves becomes known, and what records say is done.

Who wins is the conductor's to say: it takes over the state of a guest that was shut down
from the inside, and names the guests that run although they should not.
"""

from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.collector import Collector
from kilonova.compute.host import Host
from kilonova.compute.virt.driver import Events, PowerState

LOG = logging.getLogger(__name__)


class PowerSync:
    """Compares guests and records: one guest after an event, all of them regularly."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.collector = Collector('power sync', host.operations, self._sync_some)
        host.driver.on_event(self._on_event)

    def _on_event(self, uuid: str, event: Events) -> None:
        LOG.debug('Guest %s: %s', uuid, event.value)
        self.collector.hint(uuid)

    def sync_all(self) -> None:
        """Tell all states, also of guests that are missing."""
        states = {uuid: int(state) for uuid, state in self._host.driver.get_power_states().items()}
        for uuid in set(self._host.told) - set(states):
            states[uuid] = int(PowerState.NOSTATE)
        self._tell({u: s for u, s in states.items() if not self._host.operations.is_busy(u)})

    def sync_at_start(self, servers: list[Server]) -> None:
        """Tell all states; servers whose guest is missing are known from the records."""
        for server in servers:
            if server.launched_at is not None:
                self._host.told[server.uuid] = server.power_state
        self.sync_all()

    def _sync_some(self, uuids: list[str]) -> None:
        told = self._host.told
        news = {uuid: state for uuid in uuids if (state := self._state(uuid)) != told.get(uuid, 0)}
        if news:
            self._tell(news)

    def _state(self, uuid: str) -> int:
        try:
            return int(self._host.driver.get_power_state(uuid))
        except exception.GuestNotFound:
            return int(PowerState.NOSTATE)

    def _tell(self, states: dict[str, int]) -> None:
        if not states:
            return
        to_stop = self._host.conductor.sync_power_states(
            ctx.get_admin_context(), self._host.name, states
        )
        for uuid, state in states.items():
            if state == PowerState.NOSTATE:
                self._host.told.pop(uuid, None)
            else:
                self._host.told[uuid] = state
        for uuid in to_stop:
            self._stop(uuid)

    def _stop(self, uuid: str) -> None:
        """Stop a guest that should not run."""
        with self._host.operations.hold(uuid, 'power sync') as task:
            if task is None:
                return
            try:
                server = self._host.conductor.get_server(ctx.get_admin_context(), uuid)
                LOG.warning('Server %s runs although it should not; it is stopped', uuid)
                self._host.driver.power_off(server, self._host.shutdown_timeout(server))
            except exception.KilonovaError as error:
                LOG.warning('Server %s could not be stopped: %s', uuid, error)
