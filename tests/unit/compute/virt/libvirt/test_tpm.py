"""Keys of TPMs: made once, given to libvirt for the start alone, destroyed with the server."""

from typing import Any

import pytest
from castellan import options
from castellan.common import exception as castellan_exception
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import connection, tpm
from kilonova.tests.fakes import keys
from kilonova.tests.fakes.libvirt import FakeConnection


@pytest.fixture
def tpms(conf: cfg.ConfigOpts, conn: connection.Connection, server: Server) -> tpm.Tpms:
    options.set_defaults(conf, backend=keys.PATH)
    conf.set_override('swtpm_enabled', True, 'libvirt')
    server.flavor.extra_specs = {'hw:tpm_version': '2.0'}
    keys.KEPT.clear()
    return tpm.Tpms(conf, conn)


def test_a_key_is_made_once(tpms: tpm.Tpms, server: Server, hypervisor: FakeConnection) -> None:
    notes: dict[str, str] = {}
    with tpms.opened(server, notes) as secret:
        assert secret is not None
        assert list(hypervisor.secrets) == [secret]
        assert len(hypervisor.secrets[secret]) > 384
    assert hypervisor.secrets == {}
    assert list(keys.KEPT) == [notes[tpm.KEY]]
    server.system_metadata = notes
    with tpms.opened(server, {}) as again:
        assert again == secret
    tpms.forget(server)
    tpms.forget(server)
    assert keys.KEPT == {}


def test_a_guest_that_does_not_start_leaves_no_key(
    tpms: tpm.Tpms, server: Server, hypervisor: FakeConnection
) -> None:
    with pytest.raises(exception.VirtDriverError), tpms.opened(server, {}):
        raise exception.VirtDriverError(reason='it did not start')
    assert keys.KEPT == hypervisor.secrets == {}


def test_the_key_of_an_existing_server_outlives_a_failed_start(
    tpms: tpm.Tpms, server: Server
) -> None:
    with tpms.opened(server, server.system_metadata):
        pass
    with pytest.raises(exception.VirtDriverError), tpms.opened(server, {}):
        raise exception.VirtDriverError(reason='it did not start')
    assert len(keys.KEPT) == 1


def test_servers_without_one(tpms: tpm.Tpms, server: Server) -> None:
    server.flavor.extra_specs = {}
    with tpms.opened(server, {}) as secret:
        assert secret is None
    tpms.forget(server)


def test_hosts_without_swtpm(tpms: tpm.Tpms, server: Server, conf: cfg.ConfigOpts) -> None:
    conf.set_override('swtpm_enabled', False, 'libvirt')
    with pytest.raises(exception.BuildError, match='swtpm_enabled'), tpms.opened(server, {}):
        pass


@pytest.mark.parametrize(('method', 'match'), [('store', 'stored'), ('get', 'cannot be had')])
def test_a_key_manager_that_fails(
    tpms: tpm.Tpms, server: Server, monkeypatch: pytest.MonkeyPatch, method: str, match: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise castellan_exception.KeyManagerError(reason='it is sealed')

    monkeypatch.setattr(keys.Keys, method, fail)
    with pytest.raises(exception.VirtDriverError, match=match), tpms.opened(server, {}):
        pass


def test_a_key_that_cannot_be_destroyed_is_said(
    tpms: tpm.Tpms, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise castellan_exception.KeyManagerError(reason='it is sealed')

    server.system_metadata = {tpm.KEY: 'k'}
    monkeypatch.setattr(keys.Keys, 'delete', fail)
    with pytest.raises(exception.VirtDriverError, match='not destroyed'):
        tpms.forget(server)


def test_ids_that_are_no_uuids() -> None:
    assert tpm._as_uuid('0A1B2C3D000040008000000000000001') == (
        '0a1b2c3d-0000-4000-8000-000000000001'
    )
    assert tpm._as_uuid('key-7') == tpm._as_uuid('key-7') != tpm._as_uuid('key-8')
