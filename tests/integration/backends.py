"""A broker and databases of the tests' own, on loopback ports, under a folder of theirs."""

import os
import pathlib
import pwd
import shutil
import subprocess
import uuid

from kilonova.tests.integration import certificates
from kilonova.tests.integration.processes import Processes, free_port, need, port_open, wait_for


class RabbitMQ:
    """One broker, with the Erlang port mapper that it needs."""

    def __init__(self, processes: Processes, folder: pathlib.Path) -> None:
        self.processes, self.folder = processes, folder / 'rabbitmq'
        self.folder.mkdir()
        self.port, self.epmd, self.dist = free_port(), free_port(), free_port()
        self.tls_port = free_port()
        self.url = f'rabbit://guest:guest@127.0.0.1:{self.port}/'
        self.tls_url = f'rabbit://guest:guest@127.0.0.1:{self.tls_port}/'
        self.authority, self.certificate, key = certificates.make(self.folder)
        (self.folder / 'rabbitmq.conf').write_text(
            f'listeners.tcp.local = 127.0.0.1:{self.port}\nlog.console = true\n'
            f'listeners.ssl.local = 127.0.0.1:{self.tls_port}\n'
            f'ssl_options.cacertfile = {self.authority}\n'
            f'ssl_options.certfile = {self.certificate}\n'
            f'ssl_options.keyfile = {key}\n'
            'disk_free_limit.absolute = 50MB\n'
        )
        (self.folder / 'enabled_plugins').write_text('[].')
        (self.folder / 'env.conf').write_text('')
        self.processes.start(
            'epmd', [need('epmd'), '-port', str(self.epmd), '-address', '127.0.0.1']
        )
        self.start()

    def start(self) -> None:
        self.processes.start(
            'rabbitmq', ['/usr/lib/rabbitmq/bin/rabbitmq-server'], self._environment()
        )
        wait_for('RabbitMQ', lambda: port_open(self.port), 90)

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            'HOME': str(folder),
            'ERL_EPMD_PORT': str(self.epmd),
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODENAME': f'kn{self.port}@localhost',
            'RABBITMQ_DIST_PORT': str(self.dist),
            'RABBITMQ_CONFIG_FILE': str(folder / 'rabbitmq.conf'),
            'RABBITMQ_CONF_ENV_FILE': str(folder / 'env.conf'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(folder / 'enabled_plugins'),
            'RABBITMQ_MNESIA_BASE': str(folder / 'mnesia'),
            'RABBITMQ_LOG_BASE': str(folder / 'log'),
            'RABBITMQ_PID_FILE': str(folder / 'pid'),
            'RABBITMQ_GENERATED_CONFIG_DIR': str(folder / 'generated'),
            'RABBITMQ_SCHEMA_DIR': str(folder / 'schema'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 1:1 +sbwt none +sbwtdcpu none '
            '+sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
        }

    def queues(self) -> list[tuple[str, str]]:
        """Return names and kinds of all queues."""
        done = subprocess.run(
            ['/usr/lib/rabbitmq/bin/rabbitmqctl', '-q', '-s', 'list_queues', 'name', 'type'],
            check=True, capture_output=True, text=True, timeout=60,
            env={**os.environ, **self._environment()},
        )  # fmt: skip
        lines = [line.split() for line in done.stdout.splitlines()]
        return [
            (line[0], line[1].rpartition('_')[2] or line[1]) for line in lines if len(line) == 2
        ]

    def restart(self) -> None:
        self.processes.kill('rabbitmq')
        wait_for('the broker is gone', lambda: not port_open(self.port), 30)
        self.start()


class MariaDB:
    """One server; ``url`` makes a new database on it."""

    def __init__(self, processes: Processes, folder: pathlib.Path) -> None:
        data, self.socket = folder / 'mariadb', str(folder / 'mariadb.sock')
        self.port = free_port()
        user = pwd.getpwuid(os.getuid()).pw_name
        subprocess.run(
            [need('mariadb-install-db'), '--no-defaults', f'--datadir={data}', f'--user={user}',
             '--skip-test-db', '--auth-root-authentication-method=normal'],
            check=True, capture_output=True,
        )  # fmt: skip
        processes.start(
            'mariadb',
            [need('mariadbd'), '--no-defaults', f'--datadir={data}', f'--user={user}',
             f'--port={self.port}', '--bind-address=127.0.0.1', f'--socket={self.socket}',
             '--skip-name-resolve', '--max-connections=500',
             '--innodb-flush-log-at-trx-commit=2'],
        )  # fmt: skip
        wait_for('MariaDB', lambda: self._run('SELECT 1'), 60)
        self._run("CREATE USER kilonova@'127.0.0.1' IDENTIFIED BY 'secret'")
        self._run("GRANT ALL ON *.* TO kilonova@'127.0.0.1'")

    def _run(self, statement: str) -> bool:
        subprocess.run(
            [need('mariadb'), '--no-defaults', '-S', self.socket, '-uroot', '-e', statement],
            check=True, capture_output=True,
        )  # fmt: skip
        return True

    def url(self, name: str = '') -> str:
        name = name or f't{uuid.uuid4().hex[:12]}'
        self._run(f'CREATE DATABASE {name} CHARACTER SET utf8mb4')
        return f'mysql+pymysql://kilonova:secret@127.0.0.1:{self.port}/{name}?charset=utf8mb4'


class PostgreSQL:
    """One server; ``url`` makes a new database on it.  It refuses to run as root."""

    def __init__(self, processes: Processes, folder: pathlib.Path) -> None:
        self.port = free_port()
        data = folder / 'postgresql'
        data.mkdir()
        user = None
        if os.getuid() == 0:
            user = 'postgres'
            for path in (folder, *folder.parents):  # the user must be able to get there
                if path.stat().st_uid == 0 and not path.stat().st_mode & 0o001:
                    path.chmod(path.stat().st_mode | 0o711)
            shutil.chown(data, user, user)
        programs = sorted(pathlib.Path('/usr/lib/postgresql').glob('*/bin'))[-1]
        subprocess.run(
            [programs / 'initdb', '-D', data, '-U', 'kilonova', '-A', 'trust', '--no-sync'],
            check=True, capture_output=True, user=user, cwd='/',
        )  # fmt: skip
        processes.start(
            'postgresql',
            [str(programs / 'postgres'), '-D', str(data), '-p', str(self.port),
             '-c', 'listen_addresses=127.0.0.1', '-c', f'unix_socket_directories={data}',
             '-c', 'fsync=off', '-c', 'max_connections=300'],
            user=user, cwd=pathlib.Path('/'),
        )  # fmt: skip
        self.programs = programs
        wait_for('PostgreSQL', lambda: self._run('SELECT 1'), 60)

    def _run(self, statement: str) -> bool:
        subprocess.run(
            [self.programs / 'psql', '-h', '127.0.0.1', '-p', str(self.port), '-U', 'kilonova',
             '-d', 'postgres', '-c', statement],
            check=True, capture_output=True,
        )  # fmt: skip
        return True

    def url(self, name: str = '') -> str:
        name = name or f't{uuid.uuid4().hex[:12]}'
        self._run(f'CREATE DATABASE {name}')
        return f'postgresql+psycopg2://kilonova@127.0.0.1:{self.port}/{name}'
