"""Clouds whose nova-computes die, or stand still, when a test wants them to."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.libvirt import mortal
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.libvirt.guest_cloud import GuestCloud, Hypervisor, bridge
from kilonova.tests.integration.libvirt.mortal import Orders
from kilonova.tests.integration.processes import Processes, wait_for

HOST = 'compute1'
EXTRA = """
[DEFAULT]
shutdown_timeout = 0
shelved_offload_time = 0
allow_resize_to_same_host = true
vif_plugging_timeout = 10
[libvirt]
live_migration_bandwidth = 20
"""


@dataclasses.dataclass
class Killing:
    """A host of a cloud, whose nova-compute dies to order."""

    cloud: GuestCloud
    name: str
    orders: Orders
    image: str
    network: str
    flavors: list[str]

    @property
    def host(self) -> Hypervisor:
        return self.cloud.hypervisors[self.name]

    def boot(self) -> str:
        return self.cloud.boot(self.flavors[0], self.image, [{'uuid': self.network}])

    def booted(self) -> str:
        uuid = self.boot()
        self.settled(uuid, 'ACTIVE')
        return uuid

    def act(self, uuid: str, *wanted: str, **action: Any) -> None:
        """Do something and wait for what it leads to."""
        self.cloud.act(uuid, token='admin:admin', **action)
        self.settled(uuid, *wanted)

    def settled(self, uuid: str, *wanted: str) -> None:
        try:
            wait_for(f'{uuid} is {wanted}', lambda: self.is_settled(uuid, *wanted), 120, 0.2)
        except AssertionError as error:
            raise AssertionError(f'{error}: {self.orders.steps()}, {self._why(uuid)}') from None

    def _why(self, uuid: str) -> Any:
        """Return what a server's last action says."""
        path = f'/servers/{uuid}/os-instance-actions'
        (action, *_) = self.cloud.get(path, token='admin:admin')['instanceActions']
        return self.cloud.get(f'{path}/{action["request_id"]}', token='admin:admin')

    def is_settled(self, uuid: str, *wanted: str) -> bool:
        """Tell whether a server is in a wanted state, with nothing going on; none: it is gone."""
        answer = self.cloud.call('GET', f'/servers/{uuid}', token='admin:admin')
        if not wanted or answer.status_code == 404:
            return not wanted and answer.status_code == 404
        server = answer.json()['server']
        assert server['status'] != 'ERROR', (server.get('fault'), self.orders.steps())
        return server['status'] in wanted and server['OS-EXT-STS:task_state'] is None

    def strike(self, uuid: str, step: int, *wanted: str, **action: Any) -> bool:
        """Do something, of whose n-th step the process dies; tell whether it came to that."""
        self.orders.give(step)
        self.cloud.act(uuid, token='admin:admin', **action)
        return self.survived(uuid, *wanted)

    def survived(self, uuid: str, *wanted: str) -> bool:
        """See that it ends well after the process's death; tell whether that came."""
        died = self._died(uuid, *wanted)
        self.orders.cancel()
        if died:
            self.cloud.revive(self.name)
        self.settled(uuid, *wanted)
        return died

    def _died(self, uuid: str, *wanted: str) -> bool:
        process, deadline = self.cloud.processes.running[self.name], time.monotonic() + 120
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return True
            if self.is_settled(uuid, *wanted):
                # The last step is after the report that ends it.
                time.sleep(1)
                return process.poll() is not None
            time.sleep(0.1)
        raise AssertionError(f'it neither dies nor ends: {self.orders.steps()}')

    def check(self, uuid: str, state: str, disks: int) -> None:
        """See that there is what there should be of a server, and once."""
        what, daemon = self.orders.steps(), self.host.daemon
        assert (uuid in self.host.domains()) == bool(state), what
        if state:
            assert daemon.virsh('domstate', uuid).strip() == state, what
            assert len(daemon.virsh('domblklist', uuid).splitlines()) == disks, what
        assert len(self.cloud.allocations(uuid)) == bool(state), what
        assert len(self.cloud.neutron.ports) == len(self.servers()), what
        snapshots = self.host.instances / 'snapshots'
        assert not snapshots.exists() or list(snapshots.iterdir()) == [], what
        images = [one for one in self.cloud.glance.images.values() if one['id'] != self.image]
        assert [one['status'] for one in images] in ([], ['active']), what

    def servers(self) -> list[Any]:
        found: list[Any] = self.cloud.get('/servers')['servers']
        return found

    def forget_copies(self) -> int:
        """Remove the images that were made of servers; return how many there were."""
        images = self.cloud.glance.images
        found = [name for name, one in images.items() if one['name'] == 'copy']
        for name in found:
            del images[name]
        return len(found)


@contextlib.contextmanager
def on(
    folder: pathlib.Path,
    mariadb: MariaDB,
    rabbitmq: RabbitMQ,
    guest_image: pathlib.Path,
    hypervisors: Sequence[Hypervisor],
) -> Iterator[dict[str, Killing]]:
    """Give a cloud on hypervisors, by their names."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    processes = Processes(folder)
    with bridge() as bridge_name:
        cloud = GuestCloud(
            folder,
            mariadb,
            rabbitmq,
            processes,
            hypervisors,
            EXTRA,
            mortal.NAME,
            mortal.install(folder / 'mortal'),
        )
        cloud.neutron.bound_as = ('bridge', {'bridge_name': bridge_name})
        try:
            cloud.start()
            image, network = cloud.image(guest_image, name='lab'), cloud.neutron.add_network()
            flavors = [cloud.flavor(f'm1.{ram}', ram=ram) for ram in (128, 160)]
            yield {
                one.name: Killing(
                    cloud, one.name, Orders(folder / 'mortal' / one.name), image, network, flavors
                )
                for one in hypervisors
            }
        finally:
            processes.close()
            cloud.close()


@contextlib.contextmanager
def standing(
    folder: pathlib.Path,
    libvirtd: Libvirtd,
    mariadb: MariaDB,
    rabbitmq: RabbitMQ,
    guest_image: pathlib.Path,
) -> Iterator[Killing]:
    """Give a cloud of one host."""
    hypervisors = [Hypervisor(HOST, folder / HOST, libvirtd)]
    folder.mkdir()
    with on(folder, mariadb, rabbitmq, guest_image, hypervisors) as made:
        yield made[HOST]
