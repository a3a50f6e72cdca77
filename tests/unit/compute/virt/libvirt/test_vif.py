import os_vif
import pytest
from os_vif import exception as os_vif_exception
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import vif


def _with(port: VIF, kind: str, **details: object) -> VIF:
    port.type, port.details = kind, details
    return port


def _xml(conf: cfg.ConfigOpts, server: Server, port: VIF) -> str:
    return vif.to_xml(conf, server, port).to_xml()


def test_ovs_port_is_made_before_its_tap(ovs_vif: VIF) -> None:
    port = vif.to_os_vif(ovs_vif)
    assert (port.plugin, port.vif_name, port.bridge_name) == ('ovs', 'tap0a1b2c3d-00', 'br-int')
    assert port.network.bridge == 'br-int'
    assert port.network.mtu == 1450
    assert port.has_traffic_filtering
    profile = port.port_profile
    assert (profile.interface_id, profile.datapath_type) == (ovs_vif.id, 'netdev')
    assert profile.create_port and not profile.create_tap


def test_tap_made_by_os_vif(conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF) -> None:
    ovs_vif.details['ovs_create_tap'] = True
    assert vif.to_os_vif(ovs_vif).port_profile.create_tap
    assert '<target dev="tap0a1b2c3d-00" managed="no"/>' in _xml(conf, server, ovs_vif)


def test_hybrid(conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF) -> None:
    port = _with(ovs_vif, 'ovs', ovs_hybrid_plug=True, bridge_name='br-int')
    assert vif.to_os_vif(port).bridge_name == 'qbr0a1b2c3d-00'
    assert '<source bridge="qbr0a1b2c3d-00"/>' in _xml(conf, server, port)


def test_vhostuser(conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF) -> None:
    conf.set_override('tx_queue_size', 512, 'libvirt')
    port = _with(
        ovs_vif,
        'vhostuser',
        vhostuser_ovs_plug=True,
        vhostuser_socket='/run/vhu',
        vhostuser_mode='server',
    )
    plugged = vif.to_os_vif(port)
    assert (plugged.vif_name, plugged.path, plugged.mode) == (
        'vhu0a1b2c3d-00',
        '/run/vhu',
        'server',
    )
    xml = _xml(conf, server, port)
    assert '<source type="unix" path="/run/vhu" mode="server"/>' in xml
    assert 'tx_queue_size="512"' in xml


@pytest.mark.parametrize(
    ('kind', 'details', 'expected'),
    [
        ('bridge', {'bridge_name': 'brq1'}, '<source bridge="brq1"/>'),
        ('tap', {}, '<target dev="tap0a1b2c3d-00"/>'),
        (
            'macvtap',
            {'macvtap_source': 'eth1', 'macvtap_mode': 'bridge'},
            '<source dev="eth1" mode="bridge"/>',
        ),
    ],
)
def test_wired_by_libvirt_alone(
    conf: cfg.ConfigOpts,
    server: Server,
    ovs_vif: VIF,
    kind: str,
    details: dict[str, object],
    expected: str,
) -> None:
    port = _with(ovs_vif, kind, **details)
    assert vif.to_os_vif(port) is None
    assert expected in _xml(conf, server, port)


@pytest.mark.parametrize('kind', [None, 'unbound', 'binding_failed'])
def test_unbound_ports(conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF, kind: str) -> None:
    port = _with(ovs_vif, kind)
    with pytest.raises(exception.VirtDriverError, match='Neutron'):
        vif.plug(server, 'i', [port])
    with pytest.raises(exception.VirtDriverError, match='Neutron'):
        vif.to_xml(conf, server, port)


def test_unknown_types(conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF) -> None:
    with pytest.raises(exception.VirtDriverError, match='vrouter are not supported'):
        vif.to_xml(conf, server, _with(ovs_vif, 'vrouter'))


def test_models(conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF) -> None:
    conf.set_override('rx_queue_size', 1024, 'libvirt')
    assert '<driver rx_queue_size="1024"/>' in _xml(conf, server, ovs_vif)
    server.image.properties = {'hw_vif_model': 'e1000'}
    xml = _xml(conf, server, ovs_vif)
    assert '<model type="e1000"/>' in xml and 'driver' not in xml
    server.image.properties = {}
    conf.set_override('use_virtio_for_bridges', False, 'libvirt')
    assert 'model' not in _xml(conf, server, ovs_vif)


def test_failures_name_the_port(
    monkeypatch: pytest.MonkeyPatch, server: Server, ovs_vif: VIF
) -> None:
    def fail(*args: object) -> None:
        raise os_vif_exception.PlugException(vif='v', err='no switch')

    monkeypatch.setattr(os_vif, 'plug', fail)
    monkeypatch.setattr(os_vif, 'unplug', fail)
    for change in (vif.plug, vif.unplug):
        with pytest.raises(exception.VirtDriverError, match=ovs_vif.id):
            change(server, 'i', [ovs_vif])


def test_a_function_behind_the_switch(ovs_vif: VIF) -> None:
    port = _with(ovs_vif, 'ovs', datapath_type='system')
    port.vnic_type, port.profile = 'direct', {'pci_slot': '0000:03:10.1'}
    plugged = vif.to_os_vif(port)
    assert (plugged.dev_address, plugged.dev_type) == ('0000:03:10.1', 'ethernet')
    profile = plugged.port_profile
    assert (profile.representor_name, profile.representor_address) == (
        vif.tap_name(port),
        '0000:03:10.1',
    )


def test_a_port_that_was_given_no_device(
    conf: cfg.ConfigOpts, server: Server, ovs_vif: VIF
) -> None:
    port = _with(ovs_vif, 'hw_veb')
    port.vnic_type = 'direct'
    with pytest.raises(exception.VirtDriverError, match='no PCI device was chosen'):
        vif.to_xml(conf, server, port)
