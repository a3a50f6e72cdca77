"""The whole cloud: in which order things go up and come down."""

import contextlib
import fcntl
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from devcloud import (
    apt,
    broker,
    database,
    guestimage,
    hypervisor,
    identity,
    image,
    leftovers,
    placement,
    resources,
    venvs,
)
from devcloud.cinder import Cinder
from devcloud.kilonova import PROXIES, Kilonova
from devcloud.network import Neutron
from devcloud.openvswitch import OpenVswitch
from devcloud.processes import Processes, port_holder
from devcloud.progress import StepError, say
from devcloud.settings import Choices, Settings
from devcloud.steps import Plan
from devcloud.walkthrough import WalkThrough

# Who listens on the ports of settings.Ports.
_LISTENERS = {
    'keystone': 'keystone', 'compute': 'nova-api', 'metadata': 'nova-api',
    'placement': 'placement', 'glance': 'glance', 'neutron': 'neutron-api', 'cinder': 'cinder',
    'mariadb': 'mariadb', 'postgresql': 'postgresql', 'ovsdb': 'ovsdb-server',
    'openflow': 'neutron-openvswitch-agent', 'epmd': 'epmd', 'amqp': 'rabbitmq',
    'erlang': 'rabbitmq', **{port: name for name, port in PROXIES.items()},
}  # fmt: skip


class Cloud:
    def __init__(self, settings: Settings):
        self.settings = settings
        self.processes = Processes(settings)
        self.switch = OpenVswitch(settings, self.processes)
        self.neutron = Neutron(settings, self.processes, self.switch)
        self.cinder = Cinder(settings, self.processes)
        self.kilonova = Kilonova(settings, self.processes)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One `up` or `down` at a time."""
        with self._lock_file() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StepError(
                    f'another run of tools/devcloud works on {self.settings.root}'
                ) from None
            yield

    def _lock_file(self) -> IO[str]:
        return (self.settings.state / 'lock').open('w')

    # ---- up

    def choose(self, choices: Choices) -> None:
        """Take over the user's choices, unless what runs was started with others."""
        stored = self.settings.choices
        if choices != stored and any(self.processes.pid(n) for n in self.processes.names()):
            raise StepError(
                'the cloud that runs was started with other options'
                f' ({_differences(stored, choices)}); `make demo-down` first'
            )
        self.settings.choices = choices
        self.settings.save_choices()

    def check(self) -> None:
        if not self.settings.fake and not Path('/dev/net/tun').exists():
            raise StepError('needs /dev/net/tun: without it guests have no network')
        problems = []
        for name, port in vars(self.settings.ports).items():
            if name in self._not_used or self.processes.pid(_LISTENERS[name]):
                continue
            holder = port_holder(port)
            if holder:
                problems.append(f'port {port} ({name}) is taken by {holder}')
        if problems:
            raise StepError(
                '\n    '.join(problems)
                + '\n    Stop what holds them, or move all ports: `make demo PORT_BASE=30000`'
            )

    @property
    def _not_used(self) -> set[str]:
        """Ports that nobody will listen on, by what was chosen."""
        real_only = {'openflow', 'ovsdb', *PROXIES.values()}
        found = real_only if self.settings.fake else set()
        if self.settings.choices.db != 'postgresql':
            found.add('postgresql')
        if not self.settings.cinder:
            found.add('cinder')
        return found

    def up(self, walk_through: bool = True) -> None:
        settings, processes = self.settings, self.processes
        if not any(processes.pid(name) for name in processes.names()):
            shutil.rmtree(settings.run)
            settings.create()
        resources_done = ('flavors', 'image', 'networks', 'key pairs')
        plan = Plan()
        add = plan.add
        add('packages', lambda: apt.install(settings))
        add('services', lambda: venvs.services(settings), 'packages')
        add('kilonova', lambda: venvs.kilonova(settings), 'packages')
        add('guest image', lambda: guestimage.build(settings), 'packages')
        add('mariadb', lambda: database.mariadb(settings, processes), 'packages')
        add('postgresql', lambda: database.postgresql(settings, processes), 'packages')
        add('rabbitmq', lambda: broker.start(settings, processes), 'packages')
        add('open vswitch', self._start_switch, 'packages')
        add('libvirt', self._start_libvirt, 'packages')
        add('credentials', lambda: resources.credentials(settings), 'services')
        add('keystone-schema', lambda: identity.schema(settings), 'services', 'mariadb')
        add('neutron-schema', self.neutron.schema, 'services', 'mariadb')
        add('keystone', lambda: identity.start(settings, processes), 'keystone-schema')
        add('glance-schema', lambda: image.schema(settings), 'services', 'mariadb')
        add('placement-schema', lambda: placement.schema(settings), 'services', 'mariadb')
        add('neutron workers', self.neutron.start_workers, 'neutron-schema', 'rabbitmq')
        add('neutron', self.neutron.start_api, 'neutron workers')
        add('glance', lambda: image.start(settings, processes), 'glance-schema')
        add('placement', lambda: placement.start(settings, processes), 'placement-schema')
        if settings.cinder:
            add('cinder-schema', self.cinder.schema, 'services', 'mariadb')
            add('cinder', self.cinder.start, 'cinder-schema', 'rabbitmq')
            add('cinder up', self.cinder.wait_until_up, 'cinder', 'keystone')
        add('nova-schema', self.kilonova.schema, 'kilonova', 'mariadb', 'postgresql')
        add('nova', self.kilonova.start_control_plane, 'nova-schema', 'rabbitmq', 'keystone')
        add('agents', self.neutron.start_agents, 'neutron', 'open vswitch')
        add(
            'nova-compute', self.kilonova.start_compute,
            'nova', 'libvirt', 'placement', 'open vswitch',
        )  # fmt: skip
        add('image', lambda: resources.image(settings), 'guest image', 'glance', 'keystone')
        add('flavors', lambda: resources.flavors(settings), 'nova')
        add('key pairs', lambda: resources.key_pairs(settings), 'nova', 'credentials')
        add('agents up', self.neutron.wait_for_agents, 'agents', 'keystone')
        add('networks', lambda: resources.networks(settings), 'agents up')
        add('nova up', self.kilonova.wait_for_compute, 'nova-compute')
        if not settings.fake:
            add('consoles', self.kilonova.start_proxies, 'nova')
        if walk_through and not settings.fake:
            add('walk-through', WalkThrough(settings).run, *resources_done, 'nova up', 'consoles')
        plan.run()

    def _start_switch(self) -> None:
        if self.settings.fake:
            return
        if not self.processes.pid('ovs-vswitchd'):
            leftovers.remember(self.settings)
        self.switch.start()

    def _start_libvirt(self) -> None:
        if not self.settings.fake:
            hypervisor.start(self.settings, self.processes)

    # ---- down

    def down(self) -> None:
        """Stop all; what fails is reported, and the rest goes on."""
        settings, processes = self.settings, self.processes
        self._try('servers', self.kilonova.delete_servers)
        say('down', 'stopping Kilonova')
        self._stop(self.kilonova.programs())
        if not settings.fake:
            self._try('domains', lambda: hypervisor.remove_domains(settings))
        say('down', 'stopping Neutron')
        self._stop(self.cinder.programs())
        # Its threads wait for messages, and look at the clock once a minute.
        self._stop(self.neutron.programs(), seconds=6)
        # Dnsmasq, haproxy and the privileged helpers outlive their agents on purpose.
        self._try('helpers', processes.stop_marked)
        if not settings.fake:
            known = leftovers.before(settings, 'namespaces')
            self._try('namespaces', lambda: self.neutron.remove_namespaces(known))
        if not settings.fake:
            say('down', 'stopping Open vSwitch and libvirt')
            self._try('open vswitch', self.switch.stop)
            self._try('libvirt', lambda: hypervisor.stop(settings, processes))
        say('down', 'stopping Keystone, Glance, Placement')
        self._stop(['keystone', 'glance', 'placement'])
        say('down', 'stopping RabbitMQ and the databases')
        self._stop(['rabbitmq', 'mariadb', 'postgresql'])
        self._stop(processes.names())
        self._try('helpers', processes.stop_marked)

    def _stop(self, names: Iterable[str], seconds: float = 20) -> None:
        threads = [
            threading.Thread(target=self.processes.stop, args=(name, seconds), daemon=True)
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _try(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except StepError as error:
            say('down', f'{what}: {error.reason}')

    def purge(self) -> None:
        shutil.rmtree(self.settings.root)

    # ---- status

    def status(self) -> list[tuple[str, str, Path]]:
        lines = []
        for name in self.processes.names():
            pid = self.processes.pid(name)
            lines.append((name, f'pid {pid}' if pid else 'ENDED', self.processes.log(name)))
        return lines


def _differences(old: Choices, new: Choices) -> str:
    return ', '.join(
        f'{name} {getattr(old, name)!r}, not {value!r}'
        for name, value in vars(new).items()
        if getattr(old, name) != value
    )
