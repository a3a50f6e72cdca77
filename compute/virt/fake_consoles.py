"""The consoles of fake guests: places where nobody listens."""

import abc

from kilonova.common import exception
from kilonova.common.objects.console import ConsolePlace
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import Driver, PowerState

PORT, TLS_PORT = 6969, 6970


class FakeConsoles(Driver, abc.ABC):
    """The part of the fake driver that tells where consoles are."""

    def get_vnc_console(self, server: Server) -> ConsolePlace:
        return self._place(server, 'fakevncconsole.com')

    def get_spice_console(self, server: Server) -> ConsolePlace:
        return self._place(server, 'fakespiceconsole.com', TLS_PORT)

    def get_serial_console(self, server: Server) -> ConsolePlace:
        return self._place(server, 'fakeserialconsole.com')

    def get_mks_console(self, server: Server) -> ConsolePlace:
        return self._place(server, 'fakemksconsole.com')

    def _place(self, server: Server, host: str, tls_port: int | None = None) -> ConsolePlace:
        if self.get_power_state(server.uuid) not in (PowerState.RUNNING, PowerState.PAUSED):
            raise exception.GuestNotFound(instance_id=server.uuid)
        return ConsolePlace(host=host, port=PORT, tls_port=tls_port)
