"""What has to be true before a running guest is moved, and why it cannot be when it is not."""

from collections.abc import Callable
from typing import Any

import msgspec
from lxml import etree
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.migrate import disks, uri
from kilonova.compute.virt.libvirt.migrate.shared import Mark

LOG = logging.getLogger(__name__)

Json = dict[str, Any]
MIB = 1024**2


class Checks:
    """Those of one host, for guests that come and for guests that go."""

    def __init__(
        self,
        host: Host,
        guests: Guests,
        directories: Directories,
        backend: Backend,
        cache: ImageCache,
        mark: Mark,
    ) -> None:
        self._host, self._guests, self._directories = host, guests, directories
        self._backend, self._cache, self._mark = backend, cache, mark

    def destination(
        self, server: Server, block_migration: bool | None, disk_over_commit: bool
    ) -> Json:
        """Return what the source has to know of us.  Raises MigrationPreCheckError."""
        conf = self._host.conf
        reason = immovable(server)
        if reason is None and server.shares:
            reason = 'A guest that has a share mounted cannot be moved as it runs.'
        if reason is not None:
            raise refused(reason)
        if self._guests.is_ours(server.uuid):
            raise refused(f'{conf.host} has a guest of that server already.')
        _total, free = self._backend.space()
        reserved = int(conf.reserved_host_disk_mb) * MIB
        return {
            'block_migration': block_migration,
            'disk_over_commit': disk_over_commit,
            'host': conf.host,
            'address': uri.own_address(conf),
            'mark': self._mark.write(),
            'disk_available': max(free - reserved, 0),
            'virt_type': self._host.virt_type,
        }

    def source(self, server: Server, data: Json) -> Json:
        """Return what the destination has to make.  Raises MigrationPreCheckError."""
        guest = self._guests.find(server.uuid)
        if not guest.is_active():
            raise refused('The guest does not run.')
        if data['virt_type'] != self._host.virt_type:
            raise refused(
                f'Guests of {data["host"]} are run by {data["virt_type"]}, '
                f'those here by {self._host.virt_type}.'
            )
        xml = guest.live_xml()
        directory = self._directories.path(server.uuid)
        shared = self._mark.sees(data['mark'])
        local = disks.Local() if shared else self._local(xml, directory)
        block = self._copies_disks(data, shared, local)
        if block:
            _check_space(data, local)
        self._check_cpu(guest, xml, data)
        disks.lend(local, self._cache, directory)
        return {
            **data,
            'block_migration': block,
            'shared': shared,
            'source': uri.own_address(self._host.conf),
            'source_directory': directory,
            'local': msgspec.to_builtins(local),
            'source_ports': msgspec.to_builtins(server.network_info),
            'source_volumes': msgspec.to_builtins(block_device.volumes(server.block_devices)),
        }

    def _local(self, xml: Any, directory: str) -> disks.Local:
        local = disks.find(self._host.conf, xml, directory)
        if not self._backend.IN_DIRECTORY and not self._backend.SHARED:
            raise refused('Disks that are logical volumes cannot be copied to another host.')
        return local

    def _copies_disks(self, data: Json, shared: bool, local: disks.Local) -> bool:
        wanted = data['block_migration']
        if shared and wanted:
            raise refused(
                f'{data["host"]} shares the disks, so they cannot be copied there: ask for a '
                'migration without block migration.'
            )
        if wanted is False and local.disks:
            raise refused(f'{data["host"]} does not share the disks: ask for a block migration.')
        return not shared and bool(local.disks)

    def _check_cpu(self, guest: Guest, xml: Any, data: Json) -> None:
        """Ask the destination's libvirt whether it can give the guest's processor."""
        cpu, system = xml.find('cpu'), xml.find('os/type')
        address = uri.libvirt(self._host.conf, data['address'])
        other = connection.Connection(address)
        lib = connection.library()
        kind = self._host.virt_type

        def compare(conn: Any) -> int:
            if cpu is None or cpu.find('model') is None:
                return int(lib.VIR_CPU_COMPARE_IDENTICAL)  # the default, which all have
            text = etree.tostring(cpu, encoding='unicode')
            flags = lib.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
            return int(
                conn.compareHypervisorCPU(
                    None, system.get('arch'), system.get('machine'), kind, text, flags
                )
            )

        try:
            other.call(lambda conn: conn.getLibVersion())
        except connection.HypervisorError as error:
            raise refused(
                f'libvirt of {data["host"]} cannot be reached at {address}: {error.message}'
            ) from error
        try:
            other.call(compare)
        except connection.HypervisorError as error:
            if error.number == lib.VIR_ERR_CPU_INCOMPATIBLE:
                raise refused(
                    f"{data['host']} cannot give the guest's processor: {error.message}"
                ) from error
            if error.number not in (lib.VIR_ERR_NO_SUPPORT, lib.VIR_ERR_CONFIG_UNSUPPORTED):
                raise refused(f'Comparing processors: {error.message}') from error
            LOG.info('Processors cannot be compared, QEMU will: %s', error.message)
        finally:
            other.close()


def _check_space(data: Json, local: disks.Local) -> None:
    measure: Callable[[disks.LocalDisk], int] = (
        (lambda disk: disk.allocated) if data['disk_over_commit'] else (lambda disk: disk.size)
    )
    needed = sum(measure(disk) for disk in local.disks)
    if needed > data['disk_available']:
        raise refused(
            f'{data["host"]} has {data["disk_available"] // MIB} MiB of disk space left, the '
            f'disks take {needed // MIB} MiB.'
        )


def immovable(server: Server) -> str | None:
    """Return what of a server cannot be brought to another host."""
    specs, properties = server.flavor.extra_specs, server.image.properties
    if 'hw:tpm_version' in specs or 'hw_tpm_version' in properties:
        return 'The state of a virtual TPM cannot be moved to another host.'
    return None


def refused(reason: str) -> exception.MigrationPreCheckError:
    return exception.MigrationPreCheckError(reason=reason)
