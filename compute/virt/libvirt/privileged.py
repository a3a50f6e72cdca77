"""What has to be done as root, when nova-compute is not: runs in a privsep daemon."""

import os

from oslo_concurrency import processutils
from oslo_privsep import capabilities, priv_context

from kilonova.compute.virt.libvirt import console
from kilonova.compute.virt.libvirt.console import CONSOLE_LOG

sys_admin = priv_context.PrivContext(
    'kilonova.compute.virt.libvirt',
    cfg_section='nova_sys_admin',
    pypath=__name__ + '.sys_admin',
    capabilities=[
        capabilities.CAP_CHOWN,
        capabilities.CAP_DAC_OVERRIDE,
        capabilities.CAP_DAC_READ_SEARCH,
        capabilities.CAP_FOWNER,
        capabilities.CAP_MKNOD,
        capabilities.CAP_SYS_ADMIN,
    ],
)
ENV = ('env', 'LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin')
THIN_START = '64M'


@sys_admin.entrypoint
def read_console(path: str, limit: int) -> bytes:
    """Return the end of a console log that virtlogd has made as root."""
    real = os.path.realpath(path)
    if not os.path.basename(real).startswith(CONSOLE_LOG):
        raise PermissionError(f'{path} is no console log')
    return console.read_end(real, limit)


@sys_admin.entrypoint
def lvm_create(group: str, name: str, size: int, sparse: bool) -> None:
    """Make a logical volume; a sparse one takes space when it is written to."""
    room = ('-L', THIN_START, '--virtualsize', f'{size}b') if sparse else ('-L', f'{size}b')
    processutils.execute(
        *(*ENV, 'lvcreate', '--yes', '--wipesignatures', 'y', *room, '-n', name, group)
    )


@sys_admin.entrypoint
def lvm_extend(path: str, size: int) -> None:
    processutils.execute(*ENV, 'lvextend', '-L', f'{size}b', path)


@sys_admin.entrypoint
def lvm_remove(path: str) -> None:
    processutils.execute(*ENV, 'lvremove', '-f', path, attempts=3)


@sys_admin.entrypoint
def lvm_names(group: str) -> list[str]:
    """Return the names of a group's logical volumes."""
    out, _err = processutils.execute(*ENV, 'lvs', '--noheadings', '-o', 'lv_name', group)
    return [line.strip() for line in out.splitlines() if line.strip()]


@sys_admin.entrypoint
def block_size(path: str) -> int:
    """Return the bytes of a block device."""
    return block_size_of(path)


@sys_admin.entrypoint
def write_device(path: str, path_format: str, device: str) -> None:
    """Write an image to a block device as raw."""
    processutils.execute(
        *(*ENV, 'qemu-img', 'convert', '-n', '-t', 'writeback'),
        *('-f', path_format, '-O', 'raw', path, device),
    )


@sys_admin.entrypoint
def read_device(device: str, path: str, path_format: str, compress: bool, owner: int) -> None:
    """Write what is on a block device to a file that is then the owner's."""
    squeeze = ('-c',) if compress and path_format in ('qcow2', 'vmdk') else ()
    processutils.execute(
        *(*ENV, 'qemu-img', 'convert', '-U', '-t', 'writeback', *squeeze),
        *('-f', 'raw', '-O', path_format, device, path),
    )
    os.chown(path, owner, -1)


@sys_admin.entrypoint
def mount(kind: str, export: str, where: str, options: list[str]) -> None:
    processutils.execute(*ENV, 'mount', '-t', kind, *options, export, where)


@sys_admin.entrypoint
def unmount(where: str) -> None:
    processutils.execute(*ENV, 'umount', where, attempts=3, delay_on_retry=True)


@sys_admin.entrypoint
def take_over(path: str, owner: int) -> None:
    """Give a file that the hypervisor has written to its reader."""
    os.chown(path, owner, -1)


@sys_admin.entrypoint
def wipe(path: str, how: str, most: int | None) -> None:
    """Overwrite a device's content, from its start, with zeros or by shred."""
    amount = block_size_of(path)
    amount = min(amount, most) if most else amount
    if how == 'shred':
        processutils.execute(*ENV, 'shred', '-n3', f'-s{amount}', path)
    else:
        processutils.execute(
            *(*ENV, 'dd', 'if=/dev/zero', f'of={path}', 'bs=1M'),
            *(f'count={amount}', 'iflag=count_bytes', 'oflag=direct'),
        )


def block_size_of(path: str) -> int:
    with open(path, 'rb') as device:
        return device.seek(0, os.SEEK_END)
