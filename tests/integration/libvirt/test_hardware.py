"""One guest with all the hardware that a flavor and an image can ask for."""

import pathlib

import pytest
from castellan import options
from lxml import etree
from oslo_config import cfg

from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.compute.virt.libvirt import mounts
from kilonova.tests.fakes import keys
from kilonova.tests.integration.libvirt.booted import Booted

pytestmark = pytest.mark.integration


def shape(conf: cfg.ConfigOpts, server: Server) -> None:
    """Secure Boot needs 512 MiB with a TPM; the kernel has no driver for SATA."""
    conf.set_override('swtpm_enabled', True, 'libvirt')
    options.set_defaults(conf, backend=keys.PATH)
    conf.set_override('enabled', True, 'serial_console')
    conf.set_override('images_type', 'raw', 'libvirt')
    conf.set_override('hw_disk_discard', 'unmap', 'libvirt')
    server.flavor.memory_mb, server.flavor.vcpus = 512, 2
    server.flavor.extra_specs = {
        'hw:tpm_version': '2.0',
        'hw:tpm_model': 'tpm-crb',
        'hw:cpu_sockets': '1',
        'hw:cpu_cores': '2',
        'hw:watchdog_action': 'reset',
        'hw:boot_menu': 'false',
        'hw:usb_model': 'qemu-xhci',
        'hw:serial_port_count': '2',
        'hw:virtio_packed_ring': 'true',
        'hw_rng:rate_bytes': '4096',
        'quota:cpu_shares': '512',
        'quota:disk_total_iops_sec': '5000',
    }
    server.image.properties = {
        'hw_machine_type': 'q35',
        'hw_firmware_type': 'uefi',
        'os_secure_boot': 'required',
        'hw_qemu_guest_agent': 'yes',
        'hw_disk_bus': 'scsi',
        'hw_video_model': 'virtio',
    }
    share = Share(uuid='u', share_id='s', tag='docs', status='inactive', export_location='nas:/d')
    folder = pathlib.Path(mounts.path(conf, share))
    folder.mkdir(parents=True)
    (folder / 'hello').write_text('from the host\n')
    # Stands for an export that is mounted already: this kernel need not know NFS.
    server.shares = [share]


def test_firmware_and_tpm(guest: Booted) -> None:
    text = guest.console()
    assert 'secure_boot=1' in text
    assert guest.run('cat /sys/class/tpm/tpm0/tpm_version_major').strip() == '2'
    # The key is in the key manager, and in libvirt no longer.
    assert len(keys.KEPT) == 1
    assert guest.virsh('secret-list').strip() == ''
    [encryption] = guest.xml().findall('devices/tpm/backend/encryption')
    assert encryption.get('secret') in keys.KEPT


def test_what_the_guest_sees(guest: Booted) -> None:
    cpus = guest.run('grep -c ^processor /proc/cpuinfo; grep "cpu cores" /proc/cpuinfo | head -1')
    assert cpus.split()[0] == '2' and cpus.split()[-1] == '2'
    assert 'virtio' in guest.run('cat /sys/class/misc/hw_random/rng_available')
    assert guest.run('cat /sys/block/sda/device/vendor').strip() == 'QEMU'
    assert int(guest.run('cat /sys/block/sda/queue/discard_max_bytes')) > 0
    assert guest.run('cat /sys/class/dmi/id/product_name').strip() == 'OpenStack Nova'
    assert guest.run('cat /sys/class/dmi/id/product_serial').strip() == guest.server.uuid
    assert guest.run('ls /dev/ttyS1').strip() == '/dev/ttyS1'


def test_what_libvirt_limits(guest: Booted) -> None:
    assert 'cpu_shares     : 512' in guest.virsh('schedinfo', guest.server.uuid)
    assert 'total_iops_sec : 5000' in guest.virsh('blkdeviotune', guest.server.uuid, 'sda')
    assert '1' in guest.virsh('iothreadinfo', guest.server.uuid).split()
    assert guest.xml().find("devices/watchdog[@action='reset']") is not None
    assert 'rss' in guest.virsh('dommemstat', guest.server.uuid)


def test_the_domain_fits_libvirts_schema(guest: Booted) -> None:
    schema = etree.RelaxNG(etree.parse('/usr/share/libvirt/schemas/domain.rng'))
    schema.assertValid(guest.xml('--inactive'))


def test_display_and_serial_port(guest: Booted) -> None:
    assert guest.driver.get_vnc_console(guest.server).port >= 5900
    assert guest.driver.get_serial_console(guest.server).port >= 10000


def test_a_share_of_files(guest: Booted) -> None:
    guest.run('mkdir -p /mnt && mount -t virtiofs docs /mnt')
    assert guest.run('cat /mnt/hello') == 'from the host\n'


def test_diagnostics(guest: Booted) -> None:
    found = guest.driver.get_diagnostics(guest.server)
    assert found.state == 'running' and len(found.cpus) == 2
    assert found.memory_maximum == 512 * 1024
    assert sum(disk.read_bytes or 0 for disk in found.disks) > 0


def test_the_same_key_opens_the_tpm_again(guest: Booted) -> None:
    """The record that spawn returns is what a later start finds."""
    assert 'vtpm_secret_uuid' in guest.changes['system_metadata']
    server = guest.server
    server.system_metadata = guest.changes['system_metadata']
    guest.driver.reboot(server, [], 'HARD')
    guest.driver.power_off(server, 0)
    assert len(keys.KEPT) == 1
    guest.driver.forget(server)
    assert keys.KEPT == {}
