import pathlib

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.compute.virt.libvirt import accelerator, connection
from kilonova.compute.virt.libvirt.capabilities import HostCapabilities
from kilonova.compute.virt.libvirt.host import Host
from kilonova.tests.fakes.libvirt import CRASHED, PAUSED, FakeConnection, FakeDomain
from kilonova.tests.unit.compute.virt.libvirt.conftest import make_conf

Caps = HostCapabilities


@pytest.fixture
def caps(hypervisor: FakeConnection) -> Caps:
    return Caps.parse(hypervisor.capabilities)


@pytest.fixture
def unset(tmp_path: pathlib.Path) -> cfg.ConfigOpts:
    """A configuration that says nothing of virt_type."""
    return make_conf(tmp_path)


def _ends(hypervisor: FakeConnection, number: int) -> None:
    def run(domain: FakeDomain) -> None:
        domain.number = number

    hypervisor.on_create = run


def _files(conf: cfg.ConfigOpts) -> list[pathlib.Path]:
    return list(pathlib.Path(conf.instances_path).iterdir())


def test_kvm_that_works(
    unset: cfg.ConfigOpts, conn: connection.Connection, caps: Caps, hypervisor: FakeConnection
) -> None:
    _ends(hypervisor, CRASHED)  # the guest's panic is what we want to see
    assert accelerator.choose(unset, conn, caps) == 'kvm'
    assert not _files(unset)


def test_kvm_that_stops_is_reported_and_not_used(
    unset: cfg.ConfigOpts,
    conn: connection.Connection,
    caps: Caps,
    hypervisor: FakeConnection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _ends(hypervisor, PAUSED)
    assert accelerator.choose(unset, conn, caps) == 'qemu'
    assert 'KVM internal error' in caplog.text
    assert not hypervisor.domains
    assert not _files(unset)


def test_kvm_that_cannot_be_opened(
    unset: cfg.ConfigOpts, conn: connection.Connection, caps: Caps, hypervisor: FakeConnection
) -> None:
    hypervisor.fail('createXML')
    assert accelerator.choose(unset, conn, caps) == 'qemu'


def test_kvm_that_is_hopelessly_slow(
    conn: connection.Connection, hypervisor: FakeConnection, tmp_path: pathlib.Path
) -> None:
    def run(domain: FakeDomain) -> None:
        domain.cpu_time = 7_000_000_000

    hypervisor.on_create = run
    fault = accelerator.probe(conn, 'x86_64', str(tmp_path))
    assert fault and 'processor time' in fault
    assert not hypervisor.domains


def test_time_limit(
    conn: connection.Connection, hypervisor: FakeConnection, tmp_path: pathlib.Path
) -> None:
    fault = accelerator.probe(conn, 'x86_64', str(tmp_path), timeout=0.2)
    assert fault and 'did not finish' in fault


def test_elsewhere_starting_is_enough(
    conn: connection.Connection, hypervisor: FakeConnection, tmp_path: pathlib.Path
) -> None:
    assert accelerator.probe(conn, 'aarch64', str(tmp_path)) is None
    assert not hypervisor.domains


def test_what_is_set_is_used(
    conf: cfg.ConfigOpts, conn: connection.Connection, caps: Caps, hypervisor: FakeConnection
) -> None:
    assert accelerator.choose(conf, conn, caps) == 'qemu'
    conf.set_override('virt_type', 'kvm', 'libvirt')
    _ends(hypervisor, PAUSED)
    assert accelerator.choose(conf, conn, caps) == 'kvm'


def test_no_kvm_at_all(
    unset: cfg.ConfigOpts, conn: connection.Connection, hypervisor: FakeConnection
) -> None:
    caps = Caps.parse(hypervisor.capabilities.replace('<domain type="kvm"', '<domain type="x"'))
    assert accelerator.choose(unset, conn, caps) == 'qemu'
    unset.set_override('virt_type', 'kvm', 'libvirt')
    with pytest.raises(exception.VirtDriverError, match='offers'):
        accelerator.choose(unset, conn, caps)


def test_probed_once(
    unset: cfg.ConfigOpts, conn: connection.Connection, hypervisor: FakeConnection
) -> None:
    _ends(hypervisor, PAUSED)
    host = Host(unset, conn)
    assert [host.virt_type, host.virt_type] == ['qemu', 'qemu']
    assert hypervisor.calls.count('createXML') == 1
