"""A cloud of one real hypervisor, and what is measured on it."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

import libvirt

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.libvirt.guest_cloud import GuestCloud, Hypervisor, bridge
from kilonova.tests.integration.processes import Processes

LIMIT = 300
EXTRA = """
[DEFAULT]
ram_allocation_ratio = 4.0
cpu_allocation_ratio = 64.0
disk_allocation_ratio = 16.0
"""


class GuestBench:
    """Boots guests, and looks at the hypervisor without asking anybody else."""

    def __init__(self, cloud: GuestCloud, image: pathlib.Path, access_log: pathlib.Path) -> None:
        self.cloud, self._access_log = cloud, access_log
        (self.hypervisor,) = cloud.hypervisors.values()
        self._image = cloud.image(image, name='lab')
        self._flavor = cloud.flavor(ram=128)
        self._network = cloud.neutron.add_network()
        libvirt.registerErrorHandler(lambda *_: None, None)  # that a domain is not there yet
        self._libvirt = libvirt.open(self.hypervisor.daemon.uri)

    def boot(self) -> str:
        return self.cloud.boot(self._flavor, self._image, [{'uuid': self._network}])

    def timed_boot(self) -> tuple[float, float, str]:
        """Return the seconds until QEMU runs, what fellow services took of them, and the server."""
        before = self._fellows()
        began = time.monotonic()
        uuid = self.boot()
        while not self._runs(uuid):
            assert time.monotonic() < began + LIMIT, uuid
            time.sleep(0.005)
        took = time.monotonic() - began
        fellows = self._fellows() - before
        self.cloud.settled(uuid, 'ACTIVE')
        return took, fellows, uuid

    def timed_create(self, uuid: str) -> float:
        """Return how long ``virsh create`` takes for a server's domain, which is off meanwhile."""
        daemon = self.hypervisor.daemon
        xml = pathlib.Path(self.hypervisor.folder / 'bare.xml')
        xml.write_text(daemon.virsh('dumpxml', '--inactive', '--security-info', uuid))
        daemon.virsh('destroy', uuid)
        began = time.monotonic()
        daemon.virsh('create', str(xml))
        took = time.monotonic() - began
        daemon.virsh('destroy', uuid)
        return took

    def left(self) -> dict[str, object]:
        """Return all that a server could have left."""
        cloud = self.cloud
        nodes = cloud.get('/os-hypervisors', token='admin:admin')['hypervisors']
        taps = subprocess.run(
            ['ip', '-o', 'link', 'show', 'type', 'tun'], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return {
            'domains and disks': self.hypervisor.left(),
            'ports': sorted(cloud.neutron.ports),
            'taps': len([line for line in taps if bridge_name() in line]),
            'allocations': [cloud.allocations_of_node(node['id']) for node in nodes],
        }

    def _fellows(self) -> float:
        """Return how long fellow services have worked on answers, in all."""
        words = self._access_log.read_text().split() if self._access_log.exists() else []
        placement = sum(int(word) for word in words) / 1e6
        return placement + self.cloud.glance.seconds + self.cloud.neutron.seconds

    def _runs(self, uuid: str) -> bool:
        try:
            state, _reason = self._libvirt.lookupByUUIDString(uuid).state()
        except libvirt.libvirtError:
            return False
        return bool(state == libvirt.VIR_DOMAIN_RUNNING)


def bridge_name() -> str:
    return f'knbr{os.getpid()}'


@contextlib.contextmanager
def standing(image: pathlib.Path) -> Iterator[GuestBench]:
    """Give a cloud with one host; nothing of it is left."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='kn-guests-', dir='/var/tmp'))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        access_log = folder / 'placement-access.log'
        os.environ['GUNICORN_CMD_ARGS'] = (
            f'--access-logfile {access_log} --access-logformat "%(D)s"'
        )
        name = stack.enter_context(bridge())
        daemon = Libvirtd(folder / 'libvirt')
        stack.callback(daemon.close)
        processes = Processes(folder)
        stack.callback(processes.close)
        database, broker = MariaDB(processes, folder), RabbitMQ(processes, folder)
        hypervisor = Hypervisor('compute1', folder / 'compute1', daemon)
        cloud = GuestCloud(folder, database, broker, processes, [hypervisor], EXTRA)
        stack.callback(cloud.close)
        cloud.neutron.bound_as = ('bridge', {'bridge_name': name})
        cloud.start()
        yield GuestBench(cloud, image, access_log)
