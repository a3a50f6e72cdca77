"""What is there of a cloud that should be gone."""

import json
import re
from pathlib import Path

from devcloud import hypervisor
from devcloud.commands import CommandError
from devcloud.network import neutron_namespaces
from devcloud.openvswitch import BRIDGES
from devcloud.processes import Processes, all_pids, command_line
from devcloud.settings import Settings, write

# Interfaces that Open vSwitch, Neutron's agents, os-vif and libvirt make.
_OUR_LINKS = re.compile(
    '|'.join([*map(re.escape, BRIDGES), 'ovs-netdev', 'ovs-system', 'virbr[0-9]+', 'vnet[0-9]+'])
    + '|(tap|qr-|qg-|qvo|qvb|qbr)[0-9a-f]{8}-[0-9a-f]{2}'
)


def _links() -> set[str]:
    return {path.name for path in Path('/sys/class/net').iterdir()}


def _before_file(settings: Settings) -> Path:
    return settings.state / 'before.json'


def remember(settings: Settings) -> None:
    """Note what the machine has before we add to it."""
    before = {'links': sorted(_links()), 'namespaces': sorted(neutron_namespaces())}
    write(_before_file(settings), json.dumps(before), 0o644)


def before(settings: Settings, what: str) -> set[str]:
    try:
        return set(json.loads(_before_file(settings).read_text())[what])
    except (OSError, ValueError, KeyError):
        return set()


def find(settings: Settings, processes: Processes) -> list[str]:
    """Describe everything of this cloud's that still exists."""
    found = []
    for name in processes.names():
        if processes.pid(name):
            found.append(f'process {processes.pid(name)}: {name}')
    recorded = {processes.pid(name) for name in processes.names()}
    for pid in processes.marked():
        if pid not in recorded:
            found.append(f'process {pid}: {command_line(pid)[:100]}')
            recorded.add(pid)
    for pid in _naming_the_directory(settings) - recorded:
        found.append(f'process {pid}: {command_line(pid)[:100]}')
    if not settings.fake:
        found += _of_real_guests(settings)
    return found


def _of_real_guests(settings: Settings) -> list[str]:
    found = []
    try:
        found += [f'libvirt domain {uuid}' for uuid in hypervisor.domains(settings)]
    except CommandError:
        pass  # there is no virsh, so there are no domains
    for link in sorted(_links() - before(settings, 'links')):
        if _OUR_LINKS.fullmatch(link):
            found.append(f'network interface {link}')
    for name in sorted(neutron_namespaces() - before(settings, 'namespaces')):
        found.append(f'network namespace {name}')
    return found


def _naming_the_directory(settings: Settings) -> set[int]:
    """Programs of ours that have no mark: libvirt starts QEMU with an environment of its own."""
    own = f'{settings.root}/'
    programs = ('qemu-system', 'dnsmasq', 'haproxy', 'swtpm')
    return {
        pid
        for pid in all_pids()
        if own in command_line(pid) and any(p in command_line(pid) for p in programs)
    }
