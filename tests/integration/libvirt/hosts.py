"""Several libvirt hosts on one machine: each with network, host name and daemons of its own.

Two hosts are joined by a cable; each has a bridge for its guests, with nothing behind it.
The tests, which are outside, reach the daemons by their sockets; so do the daemons one another.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from oslo_config import cfg

from kilonova.common import base_config, config
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute import config as compute_config
from kilonova.compute.virt.libvirt import config as libvirt_config
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.processes import wait_for

ADDRESSES = ('10.99.77.1', '10.99.77.2')
READY = 240


class Host:
    """A libvirtd and the driver on it."""

    def __init__(
        self,
        root: pathlib.Path,
        number: int,
        shared: pathlib.Path | None,
        qemu_conf: str = '',
    ) -> None:
        self.address = ADDRESSES[number]
        self.name = f'knhost{number}-{os.getpid()}'
        self.daemon = Libvirtd(
            root / self.address, user='root', name=self.name, qemu_conf=qemu_conf
        )
        self.conf = make_conf(root / f'state{number}', self.daemon)
        self.conf.set_override('host', self.name)
        self.conf.set_override('my_ip', self.address)
        if shared is not None:
            self.conf.set_override('instances_path', str(shared))
        uri = f'qemu+unix:///system?socket={root}/%s/sock/libvirt-sock'
        self.conf.set_override('live_migration_uri', uri, 'libvirt')
        self.driver = LibvirtDriver(self.conf)
        self.driver.init_host(self.name)

    @property
    def instances(self) -> pathlib.Path:
        return pathlib.Path(self.conf.instances_path)

    def again(self) -> LibvirtDriver:
        """Return a driver as a new process has it."""
        self.driver.close()
        self.driver = LibvirtDriver(self.conf)
        self.driver.init_host(self.name)
        return self.driver

    def domains(self) -> list[str]:
        return self.daemon.virsh('list', '--all', '--uuid').split()

    def console(self, server: Server) -> str:
        return self.driver.get_console_output(server).decode(errors='replace')

    def ready(self, server: Server, boots: int = 1) -> str:
        """Wait until the guest is up for the n-th time since its log was begun."""

        def look() -> str | None:
            text = self.console(server)
            return text if text.count('lab-guest: ready') >= boots else None

        return str(wait_for('the guest', look, READY, 0.3))

    def says(self, server: Server, words: str, seconds: float = 60) -> str:
        """Wait until the guest prints something."""

        def look() -> str | None:
            text = self.console(server)
            return text if words in text else None

        return str(wait_for(words, look, seconds, 0.3))

    def close(self) -> None:
        self.driver.close()
        self.daemon.close()


def make_conf(state: pathlib.Path, daemon: Libvirtd) -> cfg.ConfigOpts:
    """Return the configuration of a driver on that daemon."""
    conf = cfg.ConfigOpts()
    for options in (base_config, compute_config, libvirt_config):
        config.register(options.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    state.mkdir(exist_ok=True)
    state.chmod(0o755)
    conf.set_override('state_path', str(state))
    conf.set_override('connection_uri', daemon.uri, 'libvirt')
    conf.set_override('virt_type', 'qemu', 'libvirt')
    # Names of control groups are the machine's, not ours alone.
    conf.set_override('instance_name_template', f'knlv{os.getpid()}-%08x')
    conf.set_override('device_detach_timeout', 10, 'libvirt')
    return conf


def cable(joined: Sequence[tuple[Libvirtd, str]]) -> None:
    """Join two hosts' networks; each gets its address."""
    ends = [f'kn{os.getpid() % 10**7}{side}' for side in 'ab']
    _ip('link', 'add', ends[0], 'type', 'veth', 'peer', 'name', ends[1])
    for end, (daemon, address) in zip(ends, joined, strict=True):
        _ip('link', 'set', end, 'netns', daemon.first())
        for command in (
            ('addr', 'add', f'{address}/30', 'dev', end),
            ('link', 'set', end, 'up'),
        ):
            daemon.inside('ip', *command)


def _ip(*command: str) -> None:
    subprocess.run(['ip', *command], check=True, timeout=20)


@contextlib.contextmanager
def one(root: pathlib.Path) -> Iterator[Host]:
    """Give one host."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=root))
    folder.chmod(0o755)
    found = Host(folder, 0, None)
    try:
        found.daemon.inside('ip', 'addr', 'add', f'{found.address}/30', 'dev', 'lo')
        yield found
    finally:
        found.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def two(
    root: pathlib.Path, *, shared: bool = False, qemu_conf: Sequence[str] = ('', '')
) -> Iterator[tuple[Host, Host]]:
    """Give two hosts; with ``shared`` their instances are on a file system of both."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(dir=root))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        common = stack.enter_context(_shared(folder)) if shared else None
        found = []
        for number in range(2):
            host = Host(folder, number, common, qemu_conf[number])
            stack.callback(host.close)
            found.append(host)
        cable([(host.daemon, host.address) for host in found])
        yield found[0], found[1]


@contextlib.contextmanager
def _shared(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a directory that libvirt takes for one of a cluster's."""
    real, common = folder / 'real', folder / 'common'
    real.mkdir()
    common.mkdir()
    command = ['bindfs', '-o', 'subtype=glusterfs,allow_other,dev', str(real), str(common)]
    subprocess.run(command, check=True, timeout=20)
    try:
        yield common
    finally:
        subprocess.run(['umount', '-l', str(common)], check=True, timeout=20)


def make_server(**flavor: Any) -> Server:
    """Return a new server of a small flavor."""
    values: dict[str, Any] = {'memory_mb': 128, 'vcpus': 1, 'root_gb': 1} | flavor
    return Server(
        id=uuid.uuid4().int % 2**31,
        uuid=str(uuid.uuid4()),
        name='vm1',
        project_id='p' * 32,
        user_id='u' * 32,
        flavor=Flavor(flavorid='1', name='m1.tiny', **values),
        image=Image(id='5fdb9c8e-0000-4000-8000-000000000001', disk_format='qcow2'),
    )


def make_port(number: int, **details: object) -> VIF:
    """Return a port on the hosts' bridge."""
    found = str(uuid.uuid4())
    return VIF(
        id=found,
        address=f'fa:16:3e:00:00:{number:02x}',
        network_id=str(uuid.uuid4()),
        devname=('tap' + found)[:14],
        type='bridge',
        details={'bridge_name': 'br-data', **details},
        bridge='br-data',
        mtu=1400,
        active=True,
    )
