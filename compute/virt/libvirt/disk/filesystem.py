"""Makes file systems in image files: ephemeral disks and swap."""

import shlex

from oslo_concurrency import processutils
from oslo_config import cfg

BY_OS = {'linux': 'ext4', 'windows': 'ntfs'}
DEFAULT = 'vfat'
# Labels are cut to what the file system has room for.
LABEL = {'ext2': 16, 'ext3': 16, 'ext4': 16, 'vfat': 11, 'ntfs': 32, 'xfs': 12}


def ephemeral_format(conf: cfg.ConfigOpts, os_type: str | None, wanted: str | None) -> str:
    """Return the file system for an ephemeral disk."""
    return wanted or conf.default_ephemeral_format or BY_OS.get(os_type or '', DEFAULT)


def custom_command(conf: cfg.ConfigOpts, os_type: str | None) -> str | None:
    """Return the operator's command for that os_type, from [DEFAULT]virt_mkfs."""
    for entry in conf.virt_mkfs:
        name, _, command = entry.partition('=')
        if os_type and name == os_type:
            return str(command)
    return None


def make(path: str, kind: str, label: str, command: str | None = None) -> None:
    """Make a file system in a file.  Raises ProcessExecutionError."""
    if command is not None:
        words = shlex.split(command % {'fs_label': label, 'target': path})
        processutils.execute(*words)
        return
    short = label[: LABEL.get(kind, 16)]
    arguments: tuple[str, ...] = ('-L', short)
    if kind in ('ext2', 'ext3', 'ext4'):
        arguments = ('-q', '-F', '-L', short)
    elif kind == 'vfat':
        arguments = ('-n', short)
    elif kind == 'ntfs':
        arguments = ('--fast', '--force', '-L', short)
    elif kind == 'swap':
        arguments = ('-L', short) if short else ()
    program = 'mkswap' if kind == 'swap' else f'mkfs.{kind}'
    processutils.execute('env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', program, *arguments, path)
