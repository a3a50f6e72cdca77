"""Open vSwitch of our own, with the kernel's datapath or with the one in user space.

The userspace datapath is for kernels without the openvswitch module.  There a virtio guest's TCP
needs the build that Debian calls DPDK, since only that one hands checksum offload on between
taps (userspace-tso-enable); DPDK itself, huge pages and polling cores are not used.
"""

import ipaddress
import json
import socket
import time
from pathlib import Path

from devcloud.commands import run
from devcloud.processes import Processes, command_line
from devcloud.progress import StepError, say
from devcloud.settings import EXTERNAL_CIDR, EXTERNAL_GATEWAY, IP, Settings

BRIDGES = ('br-int', 'br-ex', 'br-phys')
# Taps that only the userspace datapath makes.
_USERSPACE_LINKS = ('ovs-netdev', 'ovs-system')
# Where libvirt's and everybody's ovs-vsctl look if nothing else is said.
_USUAL_SOCKET = Path('/var/run/openvswitch/db.sock')
_DPDK_BUILD = Path('/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk')
_PLAIN_BUILD = Path('/usr/lib/openvswitch-switch/ovs-vswitchd')


class OpenVswitch:
    """One database server and one switch."""

    def __init__(self, settings: Settings, processes: Processes):
        self._settings = settings
        self._processes = processes
        self._directory = settings.state / 'openvswitch'

    # ---- what kind

    @property
    def kernel_datapath(self) -> bool:
        """Decided at the start; the same until the cloud goes down."""
        return self._kind_file.read_text() == 'system'

    @property
    def datapath_type(self) -> str:
        return 'system' if self.kernel_datapath else 'netdev'

    @property
    def _kind_file(self) -> Path:
        return self._directory / 'datapath'

    def _choose_datapath(self) -> None:
        run(['modprobe', '-q', 'openvswitch'], check=False)
        families = run(['genl', 'ctrl', 'list'], check=False).stdout
        kernel = 'Name: ovs_datapath' in families
        if kernel and _system_switch_runs():
            # Two switches cannot share the kernel's datapath.
            say('network', 'another ovs-vswitchd runs here: using the datapath in user space')
            kernel = False
        self._kind_file.write_text('system' if kernel else 'netdev')
        say(
            'network',
            'Open vSwitch with the kernel datapath'
            if kernel
            else 'Open vSwitch with the datapath in user space (the kernel has none to use)',
        )

    # ---- up

    def start(self) -> None:
        self._directory.mkdir(exist_ok=True)
        fresh = not self._processes.pid('ovs-vswitchd')
        if fresh:
            self._check_free()
            self._choose_datapath()
            # Ports of guests and routers that are long gone would only give errors.
            self._processes.stop('ovsdb-server')
            (self._directory / 'conf.db').unlink(missing_ok=True)
        self._start_database()
        self._start_switch()
        if fresh:
            self._make_bridges()

    def _check_free(self) -> None:
        for link in (*BRIDGES, _USERSPACE_LINKS[0]):
            if not Path('/sys/class/net', link).exists():
                continue
            if self._remove_dead_tap(link):
                continue
            raise StepError(
                f'there is a network interface {link} that is not of this cloud;'
                ' remove it (or stop the other cloud) first'
            )
        network = ipaddress.ip_network(EXTERNAL_CIDR)
        for link in json.loads(run(['ip', '-j', '-4', 'addr', 'show']).stdout):
            for address in link.get('addr_info', []):
                if ipaddress.ip_address(address['local']) in network:
                    raise StepError(
                        f'{link["ifname"]} has the address {address["local"]}, in the network'
                        f' {EXTERNAL_CIDR} that is needed for floating IPs'
                    )

    def _remove_dead_tap(self, link: str) -> bool:
        """A switch that was killed leaves its taps; nobody holds them, so they have no carrier."""
        details = run(['ip', '-d', 'link', 'show', link], check=False).stdout
        if ' tun ' not in details:
            return False
        run(['ip', 'link', 'set', link, 'up'], check=False)
        time.sleep(0.2)
        if 'NO-CARRIER' not in run(['ip', 'link', 'show', link], check=False).stdout:
            return False
        return run(['ip', 'link', 'delete', link], check=False).returncode == 0

    def _start_database(self) -> None:
        database = self._directory / 'conf.db'
        if not database.exists():
            schema = '/usr/share/openvswitch/vswitch.ovsschema'
            run(['ovsdb-tool', 'create', database, schema])
        argv: list[str | Path] = [
            'ovsdb-server', database,
            f'--remote=punix:{self._socket}',
            f'--remote=ptcp:{self._settings.ports.ovsdb}:{IP}',
            f'--unixctl={self._directory}/ovsdb.ctl',
            '-vconsole:info',
        ]  # fmt: skip
        if self._processes.pid('ovsdb-server') or not _listens(_USUAL_SOCKET):
            _USUAL_SOCKET.parent.mkdir(parents=True, exist_ok=True)
            argv.append(f'--remote=punix:{_USUAL_SOCKET}')
        self._processes.start('ovsdb-server', argv, env=self._env)
        self._processes.wait(
            'ovsdb-server', 'ready', lambda: self.vsctl('--no-wait', 'init', check=False) == 0
        )

    def _start_switch(self) -> None:
        argv: list[str | Path]
        if self.kernel_datapath:
            argv = [_PLAIN_BUILD, f'unix:{self._socket}']
        else:
            self.vsctl(
                '--no-wait', 'set', 'Open_vSwitch', '.',
                'other_config:userspace-tso-enable=true',
            )  # fmt: skip
            argv = [_DPDK_BUILD, f'unix:{self._socket}', '--disable-system']
        control = self._directory / 'vswitchd.ctl'
        argv += [f'--unixctl={control}', '-vconsole:info']
        self._processes.start('ovs-vswitchd', argv, env=self._env)
        self._processes.wait(
            'ovs-vswitchd',
            'ready',
            lambda: run(['ovs-appctl', '-t', control, 'version'], check=False).returncode == 0,
        )

    def _make_bridges(self) -> None:
        for bridge in BRIDGES:
            # The agent takes control of br-int before it lets anything pass.
            mode = 'secure' if bridge == 'br-int' else 'standalone'
            self.vsctl(
                '--may-exist', 'add-br', bridge, '--', 'set', 'bridge', bridge,
                f'datapath_type={self.datapath_type}', f'fail_mode={mode}',
            )  # fmt: skip
        # The host's leg on the external network: the way to the floating IPs.
        prefix = EXTERNAL_CIDR.partition('/')[2]
        run(['ip', 'addr', 'replace', f'{EXTERNAL_GATEWAY}/{prefix}', 'dev', 'br-ex'])
        run(['ip', 'link', 'set', 'br-ex', 'up'])

    # ---- talk to it

    @property
    def _socket(self) -> Path:
        return self._directory / 'db.sock'

    @property
    def _env(self) -> dict[str, str]:
        directory = str(self._directory)
        return {
            'OVS_RUNDIR': directory,
            'OVS_DBDIR': directory,
            'OVS_LOGDIR': str(self._settings.log),
        }

    def vsctl(self, *arguments: str, check: bool = True) -> int:
        command: list[str | Path] = ['ovs-vsctl', f'--db=unix:{self._socket}', '-t', '20']
        return run([*command, *arguments], check=check).returncode

    # ---- down

    def stop(self) -> None:
        control = self._directory / 'vswitchd.ctl'
        if self._processes.pid('ovs-vswitchd'):
            # With a plain signal it would leave its bridges in the kernel.
            run(
                ['timeout', '15', 'ovs-appctl', '-t', control, 'exit', '--cleanup'], check=False
            )  # fmt: skip
            end = time.monotonic() + 10
            while self._processes.pid('ovs-vswitchd') and time.monotonic() < end:
                time.sleep(0.1)
        self._processes.stop('ovs-vswitchd')
        self._processes.stop('ovsdb-server')
        (self._directory / 'conf.db').unlink(missing_ok=True)
        for link in (*BRIDGES, *_USERSPACE_LINKS):
            if Path('/sys/class/net', link).exists():
                self._remove_dead_tap(link)


def _system_switch_runs() -> bool:
    for path in Path('/proc').iterdir():
        if path.name.isdigit() and 'ovs-vswitchd' in command_line(int(path.name)).split(' ')[0]:
            return True
    return False


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
