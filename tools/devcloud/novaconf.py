"""The cloud's nova.conf."""

from pathlib import Path

from devcloud import ini
from devcloud.cinder import mount_base
from devcloud.database import compute_url
from devcloud.settings import IP, REGION, Settings

FILTERS = (
    'ComputeFilter', 'ComputeCapabilitiesFilter', 'ImagePropertiesFilter',
    'ServerGroupAntiAffinityFilter', 'ServerGroupAffinityFilter', 'SameHostFilter',
    'DifferentHostFilter',
)  # fmt: skip
_PRIVSEP = ('privsep', 'vif_plug_ovs_privileged', 'nova_sys_admin', 'privsep_osbrick')


def sections(settings: Settings, path: Path) -> dict[str, ini.Section]:
    """Everything that the daemons are told; ``path`` is where it will be written."""
    nova = ini.credentials(settings, 'nova')
    found: dict[str, ini.Section] = {
        'DEFAULT': _default(settings),
        'api': {'auth_strategy': 'keystone'},
        'api_database': {'connection': compute_url(settings, 'nova_api')},
        'database': {'connection': compute_url(settings, 'nova')},
        'conductor': {'workers': 1},
        'scheduler': {'workers': 1},
        'keystone_authtoken': ini.authtoken(settings, 'nova'),
        'service_user': {**nova, 'send_service_user_token': 'true'},
        'placement': {**nova, 'region_name': REGION},
        'glance': {'region_name': REGION},
        'neutron': {
            **nova,
            'region_name': REGION,
            'service_metadata_proxy': 'true',
            'metadata_proxy_shared_secret': settings.password('metadata'),
        },
        'oslo_concurrency': {'lock_path': settings.state / 'nova/lock'},
        **_consoles(settings),
    }
    if settings.cinder:
        found['cinder'] = {
            **nova,
            'catalog_info': 'block-storage::publicURL',
            'os_region_name': REGION,
        }
    found.update(_fake_hosts(settings) if settings.fake else _real_host(settings, path))
    return found


def _consoles(settings: Settings) -> dict[str, ini.Section]:
    """Where displays and serial ports are, and at which URLs their proxies."""
    novnc, spice, serial = settings.ports.novnc, settings.ports.spice, settings.ports.serial
    display: ini.Section = {
        'enabled': 'true',
        'server_listen': IP,
        'server_proxyclient_address': IP,
    }
    return {
        'vnc': {
            **display,
            'novncproxy_host': IP,
            'novncproxy_port': novnc,
            'novncproxy_base_url': settings.url('novnc', '/vnc_lite.html'),
        },
        'spice': {
            **display,
            'html5proxy_host': IP,
            'html5proxy_port': spice,
            'html5proxy_base_url': settings.url('spice', '/spice_auto.html'),
        },
        'serial_console': {
            'enabled': 'true',
            'proxyclient_address': IP,
            'serialproxy_host': IP,
            'serialproxy_port': serial,
            'base_url': f'ws://{IP}:{serial}/',
        },
    }


def _default(settings: Settings) -> ini.Section:
    ports = settings.ports
    return {
        'host': settings.choices.host,
        'my_ip': IP,
        'state_path': settings.state / 'nova',
        'transport_url': settings.transport_url,
        'compute_driver': 'fake.FakeDriver' if settings.fake else 'libvirt.LibvirtDriver',
        'enabled_apis': 'osapi_compute,metadata',
        'osapi_compute_listen': IP,
        'osapi_compute_listen_port': ports.compute,
        'osapi_compute_workers': 1,
        'metadata_listen': IP,
        'metadata_listen_port': ports.metadata,
        'metadata_workers': 1,
        # The guest is small, and so may be the disk of this machine.
        'reserved_host_disk_mb': 0,
        'reserved_host_memory_mb': 256,
    }


def _real_host(settings: Settings, path: Path) -> dict[str, ini.Section]:
    helper = {'helper_command': f'{settings.compute_venv}/bin/privsep-helper --config-file {path}'}
    # Kilonova finds out itself whether /dev/kvm works; Nova has to be told.
    libvirt: ini.Section = {'virt_type': 'qemu'} if settings.choices.compute_venv else {}
    if settings.cinder:
        libvirt['nfs_mount_point_base'] = mount_base(settings)
    return {
        'libvirt': libvirt,
        'os_vif_ovs': {'ovsdb_connection': f'tcp:{IP}:{settings.ports.ovsdb}'},
        **dict.fromkeys(_PRIVSEP, helper),
    }


def _fake_hosts(settings: Settings) -> dict[str, ini.Section]:
    return {
        # What Tempest tries beyond the usual ones.
        'filter_scheduler': {'enabled_filters': ','.join(FILTERS)},
        'fake_driver': {
            'hosts': ','.join(settings.compute_hosts),
            # The guests outlive the process, as real ones do.
            'state_dir': settings.state / 'nova/fake',
            'wait_for_plug_events': 'true',
        },
    }
