"""A host with a fake libvirt, and a server to put there."""

import pathlib
from typing import Any

import pytest
from oslo_config import cfg

from kilonova.common import base_config, config
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF, FixedIP
from kilonova.common.objects.server import Server
from kilonova.compute import config as compute_config
from kilonova.compute.virt.driver import ImageSource
from kilonova.compute.virt.libvirt import config as libvirt_config
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.host import Host
from kilonova.tests.fakes.libvirt import FakeConnection, FakeLibvirt

UUID = '6ffd7a5e-bb0c-4c02-a74a-b7c7e5c0d001'
PORT = '0a1b2c3d-0000-4000-8000-00000000beef'


def make_conf(tmp_path: pathlib.Path) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    for options in (base_config, compute_config, libvirt_config):
        config.register(options.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    conf.set_override('state_path', str(tmp_path))
    (tmp_path / 'instances').mkdir(exist_ok=True)
    return conf


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> cfg.ConfigOpts:
    conf = make_conf(tmp_path)
    conf.set_override('virt_type', 'qemu', 'libvirt')
    return conf


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibvirt:
    found = FakeLibvirt()
    monkeypatch.setattr(connection, 'library', lambda: found)
    monkeypatch.setattr(connection._EventLoop, 'start', lambda: None)
    return found


@pytest.fixture
def hypervisor(library: FakeLibvirt) -> FakeConnection:
    return library.connection


@pytest.fixture
def conn(library: FakeLibvirt) -> connection.Connection:
    return connection.Connection('fake:///system')


@pytest.fixture
def host(conf: cfg.ConfigOpts, conn: connection.Connection) -> Host:
    return Host(conf, conn)


@pytest.fixture
def server() -> Server:
    return Server(
        id=0x2A,
        uuid=UUID,
        name='vm1',
        project_id='p' * 32,
        user_id='u' * 32,
        flavor=Flavor(flavorid='1', name='m1.small', memory_mb=512, vcpus=2, root_gb=1),
        image=Image(id='70a599e0-31e7-49b7-b260-868f441e862b', disk_format='qcow2'),
    )


@pytest.fixture
def ovs_vif() -> VIF:
    return VIF(
        id=PORT,
        address='fa:16:3e:00:00:01',
        network_id='5b2c1d3e-0000-4000-8000-0000000000aa',
        fixed_ips=[FixedIP(address='10.0.0.5')],
        devname='tap0a1b2c3d-00',
        type='ovs',
        details={'port_filter': True, 'datapath_type': 'netdev', 'bridge_name': 'br-int'},
        mtu=1450,
        bridge='br-int',
    )


class Images(ImageSource):
    """Gives one content to whoever asks, and counts."""

    def __init__(self, content: bytes = b'\0' * 65536) -> None:
        self.content = content
        self.downloads: list[str] = []
        self.properties: dict[str, str] = {}

    def describe(self, image_id: str) -> Image:
        return Image(id=image_id, disk_format='raw', properties=self.properties)

    def download(self, image_id: str, path: str) -> None:
        self.downloads.append(image_id)
        with open(path, 'xb') as file:
            file.write(self.content)


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What os-vif was asked to do: (plug or unplug, port)."""
    import os_vif

    done: list[tuple[str, str]] = []

    def note(what: str) -> Any:
        return lambda vif, _instance: done.append((what, vif.id))

    monkeypatch.setattr(os_vif, 'plug', note('plug'))
    monkeypatch.setattr(os_vif, 'unplug', note('unplug'))
    monkeypatch.setattr(os_vif, 'initialize', lambda: None)
    return done
