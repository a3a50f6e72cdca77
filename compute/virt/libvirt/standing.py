"""Guests that stand still: paused in memory, or suspended to disk."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import agent, connection
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.power import Power

LOG = logging.getLogger(__name__)


class Standing:
    """Stops guests and lets them go on, as often as asked."""

    def __init__(self, guests: Guests, power: Power) -> None:
        self._guests, self._power = guests, power

    def pause(self, server: Server) -> None:
        guest = self._guests.find(server.uuid)
        if guest.power_state() != PowerState.PAUSED:
            guest.pause()

    def unpause(self, server: Server) -> None:
        guest = self._guests.find(server.uuid)
        if guest.power_state() != PowerState.RUNNING:
            guest.resume()
            self._set_clock(guest, server)

    def suspend(self, server: Server) -> None:
        guest = self._guests.find(server.uuid)
        if guest.is_active():
            guest.save()
        elif not guest.has_saved_state():
            raise exception.VirtDriverError(reason='The guest is off: there is nothing to save.')

    def resume(self, server: Server, vifs: list[VIF]) -> None:
        guest = self._guests.find(server.uuid)
        if guest.is_active():
            # A second attempt; or QEMU was stopped between reading the state and going on.
            if guest.power_state() == PowerState.PAUSED:
                guest.resume()
            return
        if not guest.has_saved_state():
            LOG.warning('The saved state of server %s is gone: it boots', server.uuid)
        self._power.start_as_defined(guest, server, vifs)
        self._set_clock(guest, server)

    @staticmethod
    def _set_clock(guest: Guest, server: Server) -> None:
        """Tell the guest what time it is; its clock has stood still with it."""
        if not agent.is_there(server):
            return
        try:
            guest.set_clock()
        except connection.HypervisorError as error:
            LOG.info('The clock of server %s was not set: %s', server.uuid, error)
