"""A libvirtd of our own, beside whatever else runs on the machine.

It has a mount namespace in which /run/libvirt, /etc/libvirt, /var/lib/libvirt … are its own,
and a socket outside of it.  /dev/kvm is hidden unless a test wants it: one that is there
but doesn't work makes libvirt examine QEMU again and again, for seconds.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import time

from kilonova.tests.integration.processes import wait_for

OWN = ('run', 'etc', 'lib', 'log', 'cache')
LIBVIRTD_CONF = """
unix_sock_dir = "{folder}/sock"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:file:{folder}/log/libvirtd.log"
"""
QEMU_CONF = """
security_driver = "none"
namespaces = []
stdio_handler = "logd"
user = "{user}"
group = "{user}"
"""
SCRIPT = """
set -e
mount --make-rprivate /
mkdir -p /run/libvirt
mount --bind {folder}/run /run/libvirt
mount --bind {folder}/etc /etc/libvirt
mount --bind {folder}/lib /var/lib/libvirt
mount --bind {folder}/log /var/log/libvirt
mount --bind {folder}/cache /var/cache/libvirt
if [ {hide} = 1 ] && [ -e /dev/kvm ]; then
    : > {folder}/no-kvm
    mount --bind {folder}/no-kvm /dev/kvm
    mount -o remount,bind,ro /dev/kvm
fi
virtlogd --pid-file {folder}/virtlogd.pid &
exec libvirtd --pid-file {folder}/libvirtd.pid
"""


def missing() -> str | None:
    """Return why there can be no such daemon here."""
    if os.geteuid() != 0:
        return 'needs root'
    wanted = ('libvirtd', 'virtlogd', 'virsh', 'unshare', 'qemu-img', 'genisoimage', 'mcopy')
    path = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'
    absent = [name for name in wanted if shutil.which(name, path=path) is None]
    return f'{", ".join(absent)} not installed' if absent else None


class Libvirtd:
    """Runs until ``close``, which ends its guests too."""

    def __init__(
        self, folder: pathlib.Path, hide_kvm: bool = True, user: str = 'libvirt-qemu'
    ) -> None:
        self.folder = folder
        for name in (*OWN, 'sock'):
            (folder / name).mkdir(parents=True)
        (folder / 'etc' / 'qemu').mkdir()
        (folder / 'etc' / 'libvirtd.conf').write_text(LIBVIRTD_CONF.format(folder=folder))
        (folder / 'etc' / 'qemu.conf').write_text(QEMU_CONF.format(user=user))
        script = SCRIPT.format(folder=folder, hide=int(hide_kvm))
        self.uri = f'qemu+unix:///system?socket={folder}/sock/libvirt-sock'
        with open(folder / 'start.log', 'wb') as log:
            self.process = subprocess.Popen(
                ['unshare', '--mount', 'bash', '-c', script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'},
            )
        try:
            wait_for('libvirtd', self._answers, seconds=120)
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / 'start.log').read_text()
        return bool(self.virsh('version'))

    def virsh(self, *command: str) -> str:
        done = subprocess.run(
            ['virsh', '-q', '-c', self.uri, *command],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f'virsh {" ".join(command)}: {done.stderr}'
        return done.stdout

    def restart(self) -> None:
        """End libvirtd alone and start it again; guests go on."""
        virtlogd = (self.folder / 'virtlogd.pid').read_text().strip()
        self.process.terminate()
        self.process.wait(30)
        with open(self.folder / 'start.log', 'ab') as log:
            self.process = subprocess.Popen(
                ['nsenter', '--mount', '--target', virtlogd, 'libvirtd']
                + ['--pid-file', f'{self.folder}/libvirtd.pid'],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'},
            )
        wait_for('libvirtd', self._answers, seconds=120)

    def close(self) -> None:
        if (self.folder / 'sock' / 'libvirt-sock').exists():
            for name in self.virsh('list', '--name').split():
                self.virsh('destroy', name)
        pid_file = self.folder / 'virtlogd.pid'
        virtlogd = int(pid_file.read_text()) if pid_file.exists() else None
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        if virtlogd is not None:
            _end(virtlogd)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
