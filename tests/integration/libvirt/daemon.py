"""A libvirtd of our own, beside whatever else runs on the machine.

It has mount and process namespaces; /run/libvirt, /etc/libvirt, /var/lib/libvirt … are its
own in there, and its socket is outside.  /dev/kvm is hidden unless a test wants it: one that is there
but doesn't work makes libvirt examine QEMU again and again, for seconds.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator

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
max_core = 0
remote_display_port_min = {first}
remote_display_port_max = {last}
"""
# Several suites on one machine must not try the same ports for displays at the same time.
FIRST_DISPLAY, DISPLAYS, RANGES = 6000, 100, 250
# The first process of the namespaces: libvirtd is started again when it ends.
SCRIPT = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
mkdir -p /run/libvirt
mount --bind {folder}/run /run/libvirt
mount --bind {folder}/etc /etc/libvirt
mount --bind {folder}/lib /var/lib/libvirt
mount --bind {folder}/log /var/log/libvirt
mount --bind {folder}/cache /var/cache/libvirt
{network}
if [ {hide} = 1 ] && [ -e /dev/kvm ]; then
    : > {folder}/no-kvm
    mount --bind {folder}/no-kvm /dev/kvm
    mount -o remount,bind,ro /dev/kvm
fi
set +e
virtlogd --pid-file {folder}/virtlogd.lock &
while :; do
    libvirtd --pid-file {folder}/libvirtd.lock &
    echo $! > {folder}/libvirtd.pid
    wait $!
    sleep 0.2
    while [ -e {folder}/hold ]; do sleep 0.1; done
done
"""


# For hosts that move guests to one another; the host's identity is what libvirt goes by.
NETWORK = """
hostname {name}
ip link set lo up
ip link add br-data type bridge forward_delay 0
ip link set br-data up
mkdir {folder}/cgroup
mount --rbind /sys/fs/cgroup {folder}/cgroup
mount -t sysfs sysfs /sys
mount --rbind {folder}/cgroup /sys/fs/cgroup
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
    """Runs until ``close``; its guests end with it, and all of it when the tests are killed."""

    def __init__(
        self,
        folder: pathlib.Path,
        hide_kvm: bool = True,
        user: str = 'libvirt-qemu',
        name: str | None = None,
        qemu_conf: str = '',
    ) -> None:
        """With a name the host has a network, and that name, of its own."""
        self.folder = folder
        for part in (*OWN, 'sock'):
            (folder / part).mkdir(parents=True)
        (folder / 'etc' / 'qemu').mkdir()
        identity = f'host_uuid = "{uuid.uuid4()}"\n' if name else ''
        (folder / 'etc' / 'libvirtd.conf').write_text(
            LIBVIRTD_CONF.format(folder=folder) + identity
        )
        first = FIRST_DISPLAY + os.getpid() % RANGES * DISPLAYS
        (folder / 'etc' / 'qemu.conf').write_text(
            QEMU_CONF.format(user=user, first=first, last=first + DISPLAYS - 1) + qemu_conf
        )
        network = NETWORK.format(name=name, folder=folder) if name else ''
        script = SCRIPT.format(folder=folder, hide=int(hide_kvm), network=network)
        own = ['--net', '--uts'] if name else []
        self.uri = f'qemu+unix:///system?socket={folder}/sock/libvirt-sock'
        with open(folder / 'start.log', 'wb') as log:
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', *own, '--fork']
                + ['--kill-child', 'bash', '-c', script],
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

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """End libvirtd alone and start it again afterwards."""
        hold = self.folder / 'hold'
        hold.touch()
        try:
            self.inside('kill', (self.folder / 'libvirtd.pid').read_text().strip())
            yield
        finally:
            hold.unlink()
        wait_for('libvirtd', self._answers_again, seconds=120)

    def _answers_again(self) -> bool:
        try:
            return self._answers()
        except AssertionError:
            return False

    def restart(self) -> None:
        """End libvirtd alone; it is started again at once, and guests go on."""
        pid_file = self.folder / 'libvirtd.pid'
        old = pid_file.read_text()
        self.inside('kill', old.strip())
        wait_for('the new libvirtd', lambda: pid_file.read_text() not in ('', old), seconds=60)
        wait_for('libvirtd', self._answers, seconds=120)

    def first(self) -> str:
        """Return the number, out here, of the namespaces' first process."""
        pid = self.process.pid
        return pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().strip()

    def inside(self, *command: str) -> str:
        """Run something in the namespaces."""
        entered = ['nsenter', '--target', self.first(), '--mount', '--pid', '--net', '--uts']
        done = subprocess.run(
            [*entered, *command], check=True, timeout=60, capture_output=True, text=True
        )
        return done.stdout

    def close(self) -> None:
        """End the namespaces' first process: the kernel ends all others in them."""
        with contextlib.suppress(AssertionError):  # it did not come up, or is stuck
            for name in self.virsh('list', '--name').split():
                self.virsh('destroy', name)  # so that libvirt removes its control groups
        self.process.kill()
        self.process.wait(30)
