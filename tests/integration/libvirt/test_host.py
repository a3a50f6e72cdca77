"""The host as the real libvirt tells of it."""

import os
import pathlib
import subprocess
import sys

import pytest

from kilonova.compute.virt.libvirt import accelerator, connection
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt.daemon import Libvirtd

pytestmark = pytest.mark.integration


def test_node_and_inventory(driver: LibvirtDriver) -> None:
    node = driver.get_node()
    assert node.hypervisor_type == 'QEMU'
    assert node.hypervisor_version > 1_000_000
    assert node.vcpus == os.cpu_count()
    assert node.memory_mb > 500
    assert (os.uname().machine, 'qemu', 'hvm') in node.supported_instances
    [provider] = driver.get_inventory()
    assert provider.uuid == node.uuid
    assert set(provider.inventories) == {'VCPU', 'MEMORY_MB', 'DISK_GB'}
    assert 'COMPUTE_NODE' in provider.traits


def test_kvm_is_tried_and_nothing_stays(libvirt_folder: pathlib.Path) -> None:
    """Whether KVM works here nobody can say before; a verdict must come, and the guest go."""
    if not os.path.exists('/dev/kvm'):
        pytest.skip('no /dev/kvm')
    libvirtd = daemon_with_kvm(libvirt_folder)
    try:
        conn = connection.Connection(libvirtd.uri)
        verdict = accelerator.probe(conn, os.uname().machine, str(libvirt_folder))
        assert verdict is None or len(verdict) > 10
        assert libvirtd.virsh('list', '--all', '--name').split() == []
        assert list(libvirt_folder.glob('*.img')) == []
        conn.close()
    finally:
        libvirtd.close()


def daemon_with_kvm(folder: pathlib.Path) -> Libvirtd:
    return Libvirtd(folder / 'with-kvm', hide_kvm=False, user='root')


def test_broken_accelerator_is_noticed(
    libvirtd: Libvirtd, libvirt_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same test guest by emulation: it works as it is, and fails without its code."""
    conn = connection.Connection(libvirtd.uri)
    build = accelerator._domain

    def emulated(*args: object) -> object:
        found = build(*args)  # type: ignore[arg-type]
        found.type = 'qemu'
        return found

    monkeypatch.setattr(accelerator, '_domain', emulated)
    assert accelerator.probe(conn, 'x86_64', str(libvirt_folder)) is None
    monkeypatch.setattr(accelerator, 'CODE', b'\xf4' * 8)  # stands still
    fault = accelerator.probe(conn, 'x86_64', str(libvirt_folder), timeout=15)
    assert fault is not None
    assert libvirtd.virsh('list', '--all', '--name').split() == []
    conn.close()


EVENTLET = """
import sys, time
from kilonova.common import concurrency
concurrency.choose('eventlet')
import threading
from kilonova.compute.virt.libvirt import connection
conn, told, ticks = connection.Connection(sys.argv[1]), [], []
conn.watch(lambda uuid, event: told.append(event.value))
def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.02)
threading.Thread(target=tick, daemon=True).start()
xml = ("<domain type='qemu'><name>green</name><memory unit='MiB'>16</memory>"
       "<os><type>hvm</type></os></domain>")
conn.call(lambda c: c.createXML(xml, 1))
conn.call(lambda c: c.lookupByName('green').destroy())
deadline = time.monotonic() + 20
while 'stopped' not in told and time.monotonic() < deadline:
    time.sleep(0.05)
assert 'started' in told and 'stopped' in told, told
gap = max(b - a for a, b in zip(ticks, ticks[1:]))
print('ticks', len(ticks), 'longest gap', gap)
assert len(ticks) > 10, ticks
"""


def test_greenthreads_go_on_and_get_events(libvirtd: Libvirtd) -> None:
    done = subprocess.run(
        [sys.executable, '-c', EVENTLET, libvirtd.uri],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
