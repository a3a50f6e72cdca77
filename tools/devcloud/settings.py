"""Where everything is: directories, ports, passwords, and what was chosen at ``up``."""

import dataclasses
import json
import os
import secrets
import socket
import threading
from pathlib import Path

IP = '127.0.0.1'
REGION = 'RegionOne'
DATABASES = ('sqlite', 'mariadb', 'postgresql')
DRIVERS = ('libvirt', 'fake')
OPTIONAL_SERVICES = ('cinder',)
# With the fake driver one nova-compute plays this many hosts.
FAKE_HOSTS = 2
CHECKOUT = Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = '/usr/bin/python3'

_making_passwords = threading.Lock()

# The host's leg on the external network, and the network of the demo project.
EXTERNAL_CIDR = '172.24.4.0/24'
EXTERNAL_GATEWAY = '172.24.4.1'
PRIVATE_CIDR = '10.20.0.0/24'


@dataclasses.dataclass(frozen=True)
class Ports:
    """TCP ports, all on the loopback address.

    The APIs have the ports that users expect; what only the services themselves talk to
    has ports where no distribution package listens.
    """

    keystone: int = 5000
    compute: int = 8774
    metadata: int = 8775
    cinder: int = 8776
    novnc: int = 6080
    spice: int = 6082
    serial: int = 6083
    placement: int = 8778
    glance: int = 9292
    neutron: int = 9696
    mariadb: int = 24306
    postgresql: int = 24432
    openflow: int = 24633
    ovsdb: int = 24640
    epmd: int = 24671
    amqp: int = 24672
    erlang: int = 24673

    @classmethod
    def from_base(cls, base: int) -> 'Ports':
        """The same ports moved: base plus the last three digits of the usual one."""
        if not base:
            return cls()
        usual = dataclasses.asdict(cls())
        return cls(**{name: base + port % 1000 for name, port in usual.items()})


@dataclasses.dataclass
class Choices:
    """What the user chose; kept in the state directory for later runs."""

    db: str = 'sqlite'
    driver: str = 'libvirt'
    services: list[str] = dataclasses.field(default_factory=list)
    port_base: int = 0
    host: str = dataclasses.field(default_factory=socket.gethostname)
    services_venv: str = ''
    compute_venv: str = ''


class Settings:
    """The state directory and what is in it."""

    def __init__(self, root: Path):
        self.root = root
        self.etc = root / 'etc'
        self.log = root / 'log'
        self.run = root / 'run'
        self.state = root / 'state'
        self.images = root / 'images'
        self.stamps = self.state / 'stamps'
        self.choices = self._read_choices()

    @classmethod
    def from_environment(cls) -> 'Settings':
        root = Path(os.environ.get('KILONOVA_DEMO_DIR') or '/var/lib/kilonova-demo')
        return cls(root if root.is_absolute() else Path.cwd() / root)

    def create(self) -> None:
        """Make the directories; passwords and keys are readable by their owner alone."""
        for path in (self.root, self.log, self.run, self.state, self.images, self.stamps):
            path.mkdir(parents=True, exist_ok=True)
        # Others pass through to their own files below: QEMU, RabbitMQ, PostgreSQL, and the
        # user who called sudo.  What is secret has the mode 0600 itself.
        for path in (self.root, self.etc, self.state, self.images):
            path.mkdir(exist_ok=True)
            path.chmod(0o711)
        for path in (self.log, self.run):
            path.chmod(0o755)

    # ---- choices

    @property
    def _choices_file(self) -> Path:
        return self.state / 'choices.json'

    def _read_choices(self) -> Choices:
        try:
            stored = json.loads(self._choices_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return Choices()
        known = {field.name for field in dataclasses.fields(Choices)}
        return Choices(**{name: value for name, value in stored.items() if name in known})

    def save_choices(self) -> None:
        write(self._choices_file, json.dumps(dataclasses.asdict(self.choices)), 0o644)

    @property
    def ports(self) -> Ports:
        return Ports.from_base(self.choices.port_base)

    @property
    def fake(self) -> bool:
        """Whether hosts and guests are in memory, and ports have no wires."""
        return self.choices.driver == 'fake'

    @property
    def cinder(self) -> bool:
        return 'cinder' in self.choices.services

    @property
    def compute_hosts(self) -> list[str]:
        host = self.choices.host
        return [f'{host}-{n}' for n in range(1, FAKE_HOSTS + 1)] if self.fake else [host]

    @property
    def services_venv(self) -> Path:
        return Path(self.choices.services_venv or self.root / 'venvs/services')

    @property
    def compute_venv(self) -> Path:
        return Path(self.choices.compute_venv or self.root / 'venvs/kilonova')

    # ---- passwords

    def password(self, name: str) -> str:
        """Return the password for one purpose; made once per state directory."""
        directory = self.etc / 'passwords'
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / name
        # Steps run side by side, and each must get the one that stays.
        with _making_passwords:
            if not path.exists():
                write(path, secrets.token_hex(16), 0o600)
            return path.read_text()

    # ---- URLs

    def url(self, service: str, path: str = '') -> str:
        return f'http://{IP}:{getattr(self.ports, service)}{path}'

    @property
    def auth_url(self) -> str:
        return self.url('keystone', '/v3')

    @property
    def transport_url(self) -> str:
        return f'rabbit://kilonova:{self.password("rabbitmq")}@{IP}:{self.ports.amqp}/'

    def mariadb_url(self, database: str) -> str:
        password = self.password('mariadb')
        return (
            f'mysql+pymysql://kilonova:{password}@{IP}:{self.ports.mariadb}/{database}?charset=utf8'
        )

    # ---- things done once

    def is_done(self, stamp: str, key: str) -> bool:
        try:
            return (self.stamps / stamp).read_text() == key
        except FileNotFoundError:
            return False

    def set_done(self, stamp: str, key: str) -> None:
        write(self.stamps / stamp, key, 0o644)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one go, never readable by more than its mode says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name per writer: two steps may write the same file at the same time.
    temporary = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, 'w') as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    temporary.rename(path)


def owner() -> tuple[int, int]:
    """The user who is at the keyboard: the one who called sudo, if it was so."""
    return (
        int(os.environ.get('SUDO_UID', os.getuid())),
        int(os.environ.get('SUDO_GID', os.getgid())),
    )
