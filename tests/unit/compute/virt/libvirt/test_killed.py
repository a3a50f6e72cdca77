"""nova-compute is killed at each step of each operation; the next one begins it again.

A kill is played: from one step on nothing reaches libvirt, qemu-img or the file system any more.
"""

import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from oslo_config import cfg

from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec, ImageSink, PowerState
from kilonova.compute.virt.libvirt.disk import inspection, qemu_img
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.fakes.libvirt import FakeConnection, FakeLibvirt
from kilonova.tests.unit.compute.virt.libvirt.conftest import UUID, Images

Do = Callable[[LibvirtDriver, Server, Images], None]


class Killed(BaseException):
    """The process is no more."""


class Reaper:
    """Lets so many steps happen, and none after that."""

    def __init__(self) -> None:
        self.left = -1
        self.dead = False

    def step(self) -> None:
        if self.dead or self.left == 0:
            self.dead = True
            raise Killed
        self.left -= 1

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return function(*args, **kwargs)

        return run


def _write(at: int) -> Callable[..., int]:
    return lambda self, *args: pathlib.Path(args[at]).write_bytes(b'x')


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch, library: FakeLibvirt) -> Reaper:
    """Stands before everything that changes something."""
    found = Reaper()
    tool = qemu_img.QemuImg
    monkeypatch.setattr(tool, 'create', found.before(_write(0)))
    monkeypatch.setattr(tool, 'create_overlay', found.before(_write(0)))
    monkeypatch.setattr(tool, 'flatten', found.before(_write(2)))
    monkeypatch.setattr(tool, 'is_free', lambda self, path, kind: True)
    monkeypatch.setattr(tool, 'info', lambda self, path, kind: {'virtual-size': 1 << 30})
    monkeypatch.setattr(
        inspection, 'inspect', lambda conf, image, path: inspection.Inspected('raw', 65536)
    )
    monkeypatch.setattr(FakeConnection, 'note', found.before(FakeConnection.note))
    for module, name in ((os, 'rename'), (os, 'unlink'), (os, 'makedirs'), (shutil, 'rmtree')):
        monkeypatch.setattr(module, name, found.before(getattr(module, name)))
    return found


class Sink(ImageSink):
    def upload(self, path: str, disk_format: str) -> None:
        assert os.path.exists(path)


def spawn(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.spawn(GuestSpec(server=server, vifs=[]), images, lambda start: start())


def suspend(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.suspend(server)


def resume(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.resume(server, [])


def rescue(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.rescue(server, [], images, None)


def unrescue(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.unrescue(server, [])


def reboot(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.reboot(server, [], 'HARD')


def snapshot(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.snapshot(server, Sink())


def destroy(driver: LibvirtDriver, server: Server, images: Images) -> None:
    driver.destroy(server, [])


LIFE: list[tuple[Do, list[Do], PowerState | None, list[str]]] = [
    (spawn, [], PowerState.RUNNING, ['vda']),
    (suspend, [spawn], PowerState.SHUTDOWN, ['vda']),
    (resume, [spawn, suspend], PowerState.RUNNING, ['vda']),
    (rescue, [spawn], PowerState.RUNNING, ['vda', 'vdb']),
    (unrescue, [spawn, rescue], PowerState.RUNNING, ['vda']),
    (reboot, [spawn], PowerState.RUNNING, ['vda']),
    (snapshot, [spawn], PowerState.RUNNING, ['vda']),
    (destroy, [spawn], None, []),
]


@pytest.mark.parametrize(
    ('do', 'before', 'state', 'disks'), LIFE, ids=[entry[0].__name__ for entry in LIFE]
)
def test_killed_at_each_step(
    do: Do,
    before: list[Do],
    state: PowerState | None,
    disks: list[str],
    conf: cfg.ConfigOpts,
    hypervisor: FakeConnection,
    server: Server,
    images: Images,
    reaper: Reaper,
    plugged: list[tuple[str, str]],
) -> None:
    for steps in range(200):
        for earlier in before:
            earlier(_driver(conf, reaper), server, images)
        driver = _driver(conf, reaper)
        reaper.left = steps
        try:
            do(driver, server, images)
            ended = True
        except Killed:
            ended = False
        again = _driver(conf, reaper)
        if not ended:
            do(again, server, images)
        _check(conf, hypervisor, again, state, disks)
        again.destroy(server, [])
        assert _left(conf) == []
        assert hypervisor.domains == {}
        if ended:
            assert steps > 1
            return
    raise AssertionError('it does not end')


def _driver(conf: cfg.ConfigOpts, reaper: Reaper) -> LibvirtDriver:
    """Start nova-compute anew."""
    reaper.left, reaper.dead = -1, False
    made = LibvirtDriver(conf)
    made.init_host('compute1')
    return made


def _check(
    conf: cfg.ConfigOpts,
    hypervisor: FakeConnection,
    driver: LibvirtDriver,
    state: PowerState | None,
    disks: list[str],
) -> None:
    if state is None:
        assert driver.list_guests() == []
        return
    assert driver.get_power_state(UUID) == state
    domain = hypervisor.domains[UUID]
    assert [node.get('dev') for node in domain.root.findall('devices/disk/target')] == disks
    assert not domain.frozen
    folder = pathlib.Path(conf.libvirt.snapshots_directory)
    assert not folder.exists() or list(folder.iterdir()) == []


def _left(conf: cfg.ConfigOpts) -> list[str]:
    kept = ('_base', 'locks', 'snapshots')
    return [name for name in os.listdir(conf.instances_path) if name not in kept]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from kilonova.compute.virt.libvirt.disk import snapshot as snapshots

    monkeypatch.setattr(snapshots, 'POLL', 0.0)
    yield
