"""A control plane whose hosts run real guests: a nova-compute for each libvirtd."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.processes import Processes, wait_for
from kilonova.tests.integration.stack import Stack

DAEMONS = ('nova-conductor', 'nova-scheduler', 'nova-api')
READY = 'lab-guest: ready'
LIMIT = 300


@dataclasses.dataclass
class Hypervisor:
    """One host of the cloud."""

    name: str
    folder: pathlib.Path
    daemon: Libvirtd
    address: str = '127.0.0.1'
    uri: str = ''
    """How hosts reach one another's libvirt, if they do."""

    @property
    def instances(self) -> pathlib.Path:
        return self.folder / 'instances'

    def conf(self, driver: str) -> str:
        return f"""
[DEFAULT]
host = {self.name}
my_ip = {self.address}
state_path = {self.folder}
compute_driver = {driver}
instance_name_template = knlv{os.getpid()}-%08x
[libvirt]
virt_type = qemu
connection_uri = {self.daemon.uri}
{f'live_migration_uri = {self.uri}' if self.uri else ''}
[oslo_concurrency]
lock_path = {self.folder}/locks
"""

    def domains(self) -> list[str]:
        return self.daemon.virsh('list', '--all', '--uuid').split()

    def left(self) -> list[str]:
        """Return what is here of any server: domains, and files but for the images' cache."""
        known = {'_base', 'locks', 'snapshots', 'compute_nodes', '.hosts'}
        if not self.instances.exists():
            return self.domains()
        return self.domains() + [p.name for p in self.instances.iterdir() if p.name not in known]


class GuestCloud(Stack):
    """The stack of the other suites, on hypervisors."""

    def __init__(
        self,
        folder: pathlib.Path,
        database: Any,
        broker: Any,
        processes: Processes,
        hypervisors: Sequence[Hypervisor],
        extra: str = '',
        driver: str = 'libvirt.LibvirtDriver',
        environment: dict[str, str] | None = None,
    ) -> None:
        self.hypervisors = {one.name: one for one in hypervisors}
        self._environment = environment or {}
        for one in hypervisors:
            one.folder.mkdir(exist_ok=True)
            one.folder.chmod(0o755)
            (one.folder / 'nova.conf').write_text(one.conf(driver))
        super().__init__(
            folder, database, broker, processes, len(hypervisors), extra, daemons=DAEMONS
        )

    def start(self, *names: str) -> None:
        if not names:
            for one in self.hypervisors:
                self.start_compute(one)
        super().start(*names)

    def start_compute(self, host: str) -> None:
        self.processes.start(
            host,
            [self.program('nova-compute'), '--config-file', str(self.conf), '--config-file',
             str(self.hypervisors[host].folder / 'nova.conf')],
            {'OS_NOVA_CONFIG_DIR': str(self.folder), **self._environment},
        )  # fmt: skip

    def revive(self, host: str) -> None:
        """Wait until a host's daemon has died, and start it again."""
        process = self.processes.running[host]
        process.wait(LIMIT)
        self.processes.kill(host)
        self.start_compute(host)

    # -- guests

    def image(self, path: pathlib.Path, **fields: Any) -> str:
        return self.glance.add(data=path.read_bytes(), disk_format='qcow2', **fields)

    def host_of(self, uuid: str) -> Hypervisor:
        server = self.get(f'/servers/{uuid}', token='admin:admin')['server']
        return self.hypervisors[server['OS-EXT-SRV-ATTR:host']]

    def act(self, uuid: str, token: str = 'demo:demo', **action: Any) -> Any:
        """Send an action, which is accepted."""
        answer = self.call('POST', f'/servers/{uuid}/action', action, token=token)
        assert answer.ok, f'{action}: {answer.status_code} {answer.text}'
        return answer

    def settled(self, uuid: str, *wanted: str, seconds: float = LIMIT) -> dict[str, Any]:
        """Wait until nothing is done to a server; return it when it has a wanted status."""

        def look() -> Any:
            server = self.get(f'/servers/{uuid}', token='admin:admin')['server']
            return server if server['OS-EXT-STS:task_state'] is None else None

        server: dict[str, Any] = wait_for(f'server {uuid} is at rest', look, seconds, 0.3)
        assert server['status'] in wanted, (server['status'], server.get('fault'))
        return server

    def console(self, uuid: str) -> str:
        path = self.host_of(uuid).instances / uuid / 'console.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def ready(self, uuid: str, words: str = READY, times: int = 1) -> str:
        """Wait until the guest has said something that often; return all that it has said."""

        def look() -> str | None:
            text = self.console(uuid)
            return text if text.count(words) >= times else None

        return str(wait_for(f'the guest says {words}', look, LIMIT, 0.5))

    def delete(self, uuid: str) -> None:
        assert self.call('DELETE', f'/servers/{uuid}').status_code == 204
        self.wait_gone(uuid, LIMIT)

    def allocations_of_node(self, node: str) -> dict[str, Any]:
        path = f'/resource_providers/{node}/allocations'
        found: dict[str, Any] = self._of_placement(path)['allocations']
        return found

    def assert_clean(self) -> None:
        """See that no server has left anything anywhere."""
        assert self.get('/servers?all_tenants=1', token='admin:admin')['servers'] == []
        for one in self.hypervisors.values():
            wait_for(f'{one.name} is clean', lambda one=one: not one.left(), 60, 0.5)  # type: ignore[misc]
        for node in self.get('/os-hypervisors', token='admin:admin')['hypervisors']:
            assert self.allocations_of_node(node['id']) == {}
        assert self.neutron.ports == {}


@contextlib.contextmanager
def pair(folder: pathlib.Path) -> Iterator[list[Hypervisor]]:
    """Give two hosts, which a cable joins; their guests have no networks."""
    with contextlib.ExitStack() as stack:
        root = pathlib.Path(tempfile.mkdtemp(dir=folder))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        found = []
        for number, address in enumerate(hosts.ADDRESSES):
            name = f'knhost{number}-{os.getpid()}'
            daemon = Libvirtd(root / address, user='root', name=name)
            stack.callback(daemon.close)
            uri = f'qemu+unix:///system?socket={root}/%s/sock/libvirt-sock'
            found.append(Hypervisor(name, root / f'state{number}', daemon, address, uri))
        hosts.cable([(one.daemon, one.address) for one in found])
        yield found


@contextlib.contextmanager
def bridge() -> Iterator[str]:
    """Give a bridge for guests' ports, with nothing behind it."""
    name = f'knbr{os.getpid()}'
    command = ['ip', 'link', 'add', name, 'type', 'bridge', 'forward_delay', '0']
    subprocess.run(command, check=True, timeout=20)
    try:
        subprocess.run(['ip', 'link', 'set', name, 'up'], check=True, timeout=20)
        yield name
    finally:
        subprocess.run(['ip', 'link', 'del', name], check=True, timeout=20)
