"""libvirt: the machine's own if it runs, else one that we start and stop."""

import contextlib
import grp
import pwd
import socket
from pathlib import Path

from devcloud.commands import run
from devcloud.processes import Processes
from devcloud.progress import say
from devcloud.settings import Settings

URI = 'qemu:///system'
_KVM = Path('/dev/kvm')
_QEMU_CONF = Path('/etc/libvirt/qemu.conf')
_LOG_SOCKET = Path('/run/libvirt/virtlogd-sock')
_APPARMOR_PROFILE = Path('/etc/apparmor.d/usr.lib.libvirt.virt-aa-helper')
_APPARMOR_LOCAL = Path('/etc/apparmor.d/local/usr.lib.libvirt.virt-aa-helper')
_APPARMOR_NOTE = '# tools/devcloud, until `make demo-down`'


def virsh(*arguments: str, check: bool = True) -> str:
    command = ['virsh', '-q', '-c', URI, *arguments]
    return run(command, check=check, timeout=120).stdout


def answers() -> bool:
    # An idle socket of systemd's starts the daemon by this.
    return run(['virsh', '-c', URI, 'version'], check=False, timeout=120).returncode == 0


def start(settings: Settings, processes: Processes) -> None:
    _allow_in_apparmor(settings)
    if processes.pid('libvirtd') is None and answers():
        say('libvirt', "using this machine's libvirtd")
        return
    if processes.pid('virtlogd') or not _connects(_LOG_SOCKET):
        # Without it no domain starts: it keeps the console logs.
        processes.start('virtlogd', ['virtlogd'])
        processes.wait('virtlogd', 'ready', lambda: _connects(_LOG_SOCKET), 60)
    command = _command(settings)
    if processes.start('libvirtd', command) and len(command) > 1:
        say('libvirt', f"QEMU's user may not open {_KVM}: hiding it, guests are emulated")
    processes.wait('libvirtd', 'ready', answers, 120)


def _command(settings: Settings) -> list[str | Path]:
    """How to start libvirtd.

    Where no udev has given /dev/kvm to the group kvm (in containers), libvirt as root finds KVM
    when it probes QEMU, and then finds that QEMU's user cannot have it: it probes again, at
    every request, for seconds.  So this libvirtd alone sees a file there that is no KVM.  Mounts
    below /dev cannot go with the separate /dev that it makes for each guest: hence the setting.
    """
    if not _KVM.exists() or _qemu_may_use_kvm():
        return ['libvirtd']
    cover = settings.state / 'no-kvm'
    cover.touch(0o444)
    own = settings.state / 'qemu.conf'
    own.write_text(_QEMU_CONF.read_text() + '\nnamespaces = []\n')
    script = (
        f'mount --bind "$0" {_KVM} && mount -o remount,bind,ro {_KVM}'
        f' && mount --bind "$1" {_QEMU_CONF} && exec libvirtd'
    )
    return ['unshare', '--mount', 'sh', '-c', script, cover, own]


def _qemu_may_use_kvm() -> bool:
    user = pwd.getpwnam('libvirt-qemu')
    groups = {user.pw_gid} | {g.gr_gid for g in grp.getgrall() if 'libvirt-qemu' in g.gr_mem}
    status = _KVM.stat()
    bits = status.st_mode & 0o666
    if status.st_uid == user.pw_uid:
        return bits & 0o600 == 0o600
    if status.st_gid in groups:
        return bits & 0o060 == 0o060
    return bits & 0o006 == 0o006


def stop(settings: Settings, processes: Processes) -> None:
    if processes.pid('libvirtd'):
        # We started it, so the networks that it started by itself are ours too.
        for name in virsh('net-list', '--name', check=False).split():
            virsh('net-destroy', name, check=False)
    processes.stop('libvirtd')
    processes.stop('virtlogd')
    _forget_in_apparmor()


def domains(settings: Settings) -> list[str]:
    """Ids of the domains whose disks or logs are in our state directory."""
    found: list[str] = []
    if not answers():
        return found
    for uuid in virsh('list', '--all', '--uuid', check=False).split():
        if f'{settings.root}/' in virsh('dumpxml', uuid, check=False):
            found.append(uuid)
    return found


def remove_domains(settings: Settings) -> None:
    for uuid in domains(settings):
        say('libvirt', f'removing domain {uuid}')
        virsh('destroy', uuid, check=False)
        virsh(
            'undefine', uuid, '--managed-save', '--snapshots-metadata', '--checkpoints-metadata',
            '--nvram', check=False,
        )  # fmt: skip


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


# ---- AppArmor: libvirt's helper may read disks in /var/lib/nova, but not in our directory


def _allow_in_apparmor(settings: Settings) -> None:
    with contextlib.suppress(OSError):
        if Path('/sys/module/apparmor/parameters/enabled').read_text().strip() != 'Y':
            return
        if not _APPARMOR_PROFILE.exists():
            return
        text = _APPARMOR_LOCAL.read_text() if _APPARMOR_LOCAL.exists() else ''
        if _APPARMOR_NOTE in text:
            return
        if text and not text.endswith('\n'):
            text += '\n'
        _APPARMOR_LOCAL.write_text(f'{text}{settings.root}/** r, {_APPARMOR_NOTE}\n')
        run(['apparmor_parser', '-r', _APPARMOR_PROFILE], check=False)


def _forget_in_apparmor() -> None:
    with contextlib.suppress(OSError):
        lines = _APPARMOR_LOCAL.read_text().splitlines(keepends=True)
        kept = [line for line in lines if _APPARMOR_NOTE not in line]
        if kept != lines:
            _APPARMOR_LOCAL.write_text(''.join(kept))
            run(['apparmor_parser', '-r', _APPARMOR_PROFILE], check=False)
