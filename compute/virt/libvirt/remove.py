"""Takes a server off the host: guest, ports, disks."""

from oslo_log import log as logging

from kilonova.common import exception, naming
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import vif
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.compute.virt.libvirt.host import Host

LOG = logging.getLogger(__name__)


class Remover:
    """Removes what is there, and does not mind what is not."""

    def __init__(
        self, host: Host, guests: Guests, directories: Directories, backend: Backend
    ) -> None:
        self._host, self._guests, self._directories = host, guests, directories
        self._backend = backend

    def is_there(self, server: Server) -> bool:
        """Whether something of the server is here: a directory is made before all else."""
        return self._directories.exists(server.uuid) or self._guests.is_ours(server.uuid)

    def remove(self, server: Server, vifs: list[VIF]) -> None:
        """Remove guest, plugs and disks.

        Disks go only when the guest is gone for sure.  A port that cannot be unplugged keeps
        nothing else from being removed, but is an error in the end.
        """
        self.remove_guest(server.uuid)
        try:
            name = naming.instance_name(self._host.conf.instance_name_template, server)
            vif.unplug(server, name, vifs)
        finally:
            self.remove_disks(server.uuid)

    def remove_disks(self, uuid: str) -> None:
        """Remove a server's disks, and last its directory, which says that there is something."""
        if self._directories.is_ours(uuid):
            self._backend.remove_all(self._directories.path(uuid))
        self._directories.remove(uuid)

    def remove_guest(self, uuid: str) -> None:
        """Stop the domain and make libvirt forget it."""
        try:
            guest = self._guests.find(uuid)
            guest.destroy()
            guest.undefine()
        except exception.GuestNotFound:
            LOG.debug('Server %s has no guest', uuid)
