"""Install Debian packages, without letting Debian start their services."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from devcloud import commands
from devcloud.commands import run
from devcloud.progress import StepError, say
from devcloud.settings import Settings

# Server packages come without the system service where Debian has such a package: MariaDB.
PACKAGES = (
    # Python and what pip compiles: uWSGI
    'python3', 'python3-venv', 'python3-dev', 'gcc', 'libc6-dev', 'ca-certificates',
    # database and broker
    'mariadb-server-core', 'mariadb-client-core', 'rabbitmq-server',
    'iproute2', 'procps', 'openssh-client', 'qemu-utils',
)  # fmt: skip
REAL_GUESTS = (
    # libvirt-python is compiled
    'pkg-config', 'libvirt-dev',
    # network
    'openvswitch-switch', 'openvswitch-switch-dpdk', 'haproxy', 'conntrack', 'ipset',
    'iputils-arping', 'iputils-ping', 'dnsmasq-base', 'dnsmasq-utils', 'iptables', 'ethtool',
    'kmod',
    # hypervisor
    'qemu-system-x86', 'qemu-block-extra', 'libvirt-daemon-system',
    'libvirt-daemon-driver-qemu', 'libvirt-clients', 'genisoimage', 'dosfstools', 'mtools',
    # what browsers run
    'novnc', 'spice-html5',
    # guest image
    'syslinux', 'syslinux-common', 'fdisk', 'cpio', 'e2fsprogs', 'gzip',
)  # fmt: skip
POSTGRESQL = ('postgresql',)

# Services that Debian would start at the next boot of the machine, by package.
_UNITS = {
    'rabbitmq-server': ('rabbitmq-server.service',),
    'openvswitch-switch': ('openvswitch-switch.service',),
    'haproxy': ('haproxy.service',),
    'postgresql': ('postgresql.service',),
}
_POLICY = Path('/usr/sbin/policy-rc.d')
_POLICY_KEPT = Path('/usr/sbin/policy-rc.d.before-kilonova-demo')
_POLICY_TEXT = '#!/bin/sh\n# Made by tools/devcloud for the time of one apt-get.\nexit 101\n'


def install(settings: Settings) -> None:
    """Install what is missing."""
    _restore_policy()
    wanted = PACKAGES + (() if settings.fake else REAL_GUESTS)
    wanted += POSTGRESQL if settings.choices.db == 'postgresql' else ()
    missing = _missing(wanted)
    if not missing:
        say('packages', f'all {len(wanted)} Debian packages are installed')
        return
    log = settings.log / 'apt.log'
    env = commands.environment({'DEBIAN_FRONTEND': 'noninteractive'}, download=True)
    # Somebody else's apt (unattended-upgrades on a fresh machine) may hold the lock.
    apt = ['apt-get', '-q', '-y', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Dpkg::Use-Pty=0']
    say('packages', f'apt-get update, then {len(missing)} packages: {" ".join(missing)}')
    with _no_services_started():
        run([*apt, 'update'], env=env, log=log, timeout=600)
        run(
            [*apt, 'install', '--no-install-recommends', *missing],
            env=env, log=log, timeout=1800,
        )  # fmt: skip
    _disable_at_boot(missing, log)


def refresh_lists(log: Path) -> None:
    """Fetch the package lists if there are none, as in an image of a container."""
    if not any(Path('/var/lib/apt/lists').glob('*_Packages*')):
        run(['apt-get', '-q', 'update'], env=commands.environment(download=True), log=log)


def _missing(names: tuple[str, ...]) -> list[str]:
    listed = run(
        ['dpkg-query', '-W', '-f', '${Package} ${db:Status-Status}\n', *names], check=False
    ).stdout
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(' installed')}
    return [name for name in names if name not in installed]


@contextlib.contextmanager
def _no_services_started() -> Iterator[None]:
    """Debian asks policy-rc.d before it starts a service of a package being installed."""
    if _POLICY.exists():
        shutil.move(_POLICY, _POLICY_KEPT)
    _POLICY.write_text(_POLICY_TEXT)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _restore_policy()


def _restore_policy() -> None:
    """Put things back, now or after a run that was killed in between."""
    with contextlib.suppress(FileNotFoundError):
        if _POLICY.read_text() == _POLICY_TEXT:
            _POLICY.unlink()
    if _POLICY_KEPT.exists() and not _POLICY.exists():
        shutil.move(_POLICY_KEPT, _POLICY)


def _disable_at_boot(installed: list[str], log: Path) -> None:
    if not os.path.isdir('/run/systemd/system'):
        return
    units = [unit for package in installed for unit in _UNITS.get(package, ())]
    if units:
        run(['systemctl', 'disable', *units], log=log, check=False)


def check_system() -> None:
    """Refuse early where this cannot work."""
    if os.geteuid() != 0:
        raise StepError('needs root: run `make demo` as root or with sudo installed')
    if not shutil.which('apt-get'):
        raise StepError('needs Debian 12: there is no apt-get here')
