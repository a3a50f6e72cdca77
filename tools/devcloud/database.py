"""SQL servers of our own: MariaDB for the fellow services, PostgreSQL if Kilonova wants it."""

import shutil
from pathlib import Path

from devcloud.commands import CommandError, environment, run
from devcloud.processes import Processes
from devcloud.progress import StepError, say
from devcloud.settings import IP, Settings

SERVICE_DATABASES = ('keystone', 'glance', 'placement', 'neutron', 'cinder')
# nova-manage derives the name of cell0's from the cell's by adding _cell0.
COMPUTE_DATABASES = ('nova_api', 'nova', 'nova_cell0')


def mariadb(settings: Settings, processes: Processes) -> None:
    """Start MariaDB, and make the user and the databases."""
    data = settings.state / 'mariadb'
    socket = settings.run / 'mariadb.sock'
    log = settings.log / 'mariadb-install.log'
    if not (data / 'mysql').is_dir():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        command: list[str | Path] = ['mariadb-install-db', '--no-defaults', f'--datadir={data}']
        run([*command, '--user=root', '--skip-test-db', '--skip-name-resolve'], log=log)
    # As root, since the package without the system service makes no user for it.
    processes.start(
        'mariadb',
        ['mariadbd', '--no-defaults', f'--datadir={data}', '--user=root',
         f'--bind-address={IP}', f'--port={settings.ports.mariadb}', f'--socket={socket}',
         f'--pid-file={settings.run}/mariadb.pid', '--skip-name-resolve',
         '--max-connections=500', '--character-set-server=utf8mb3', '--skip-log-bin',
         # A demonstration need not survive a power cut to the last transaction.
         '--innodb-flush-log-at-trx-commit=0'],
    )  # fmt: skip
    processes.wait('mariadb', 'ready', lambda: _mariadb_answers(socket))
    statements = []
    for account in (f"'kilonova'@'{IP}'", "'kilonova'@'localhost'"):
        statements += [
            f'CREATE USER IF NOT EXISTS {account};',
            f"ALTER USER {account} IDENTIFIED BY '{settings.password('mariadb')}';",
            f'GRANT ALL ON *.* TO {account};',
        ]
    for name in (*SERVICE_DATABASES, *COMPUTE_DATABASES):
        statements.append(f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3;')
    # On standard input: arguments are seen by every user of the machine.
    run(['mariadb', '--no-defaults', '-S', socket, '-u', 'root'], stdin='\n'.join(statements))


def _mariadb_answers(socket: Path) -> bool:
    client: list[str | Path] = ['mariadb', '--no-defaults', '-S', socket, '-u', 'root']
    return socket.exists() and run([*client, '-e', 'SELECT 1'], check=False).returncode == 0


def postgresql(settings: Settings, processes: Processes) -> None:
    """Start PostgreSQL, which refuses to run as root, as the user of Debian's package."""
    if settings.choices.db != 'postgresql':
        return
    binaries = _postgresql_binaries()
    data = settings.state / 'postgresql'
    log = settings.log / 'postgresql-install.log'
    if not (data / 'PG_VERSION').exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        shutil.chown(data, 'postgres', 'postgres')
        run(
            [binaries / 'initdb', '-D', data, '-E', 'UTF8', '--locale=C.UTF-8',
             '--auth-local=peer', '--auth-host=scram-sha-256'],
            user='postgres', log=log,
        )  # fmt: skip
    sockets = settings.run / 'postgresql'
    sockets.mkdir(exist_ok=True)
    shutil.chown(sockets, 'postgres', 'postgres')
    port = settings.ports.postgresql
    processes.start(
        'postgresql',
        [binaries / 'postgres', '-D', data, '-k', sockets, '-h', IP, '-p', str(port),
         '-c', 'max_connections=200', '-c', 'synchronous_commit=off'],
        user='postgres',
    )  # fmt: skip
    psql: list[str | Path] = [
        'psql',
        '-X',
        '-q',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        sockets,
        '-p',
        str(port),
    ]
    processes.wait(
        'postgresql',
        'ready',
        lambda: (
            run([*psql, '-c', 'SELECT 1', 'postgres'], user='postgres', check=False).returncode == 0
        ),
    )
    # CREATE has no IF NOT EXISTS here, and a database cannot be made inside a block.
    statements = [
        "SELECT 'CREATE ROLE kilonova LOGIN' WHERE NOT EXISTS"
        " (SELECT FROM pg_roles WHERE rolname = 'kilonova') \\gexec",
        f"ALTER ROLE kilonova PASSWORD '{settings.password('postgresql')}';",
    ]
    for name in COMPUTE_DATABASES:
        statements.append(
            f"SELECT 'CREATE DATABASE {name} OWNER kilonova' WHERE NOT EXISTS"
            f" (SELECT FROM pg_database WHERE datname = '{name}') \\gexec"
        )
    run([*psql, 'postgres'], user='postgres', stdin='\n'.join(statements), log=None)


def _postgresql_binaries() -> Path:
    versions = sorted(Path('/usr/lib/postgresql').glob('*/bin/postgres'))
    if not versions:
        raise StepError('there is no PostgreSQL server below /usr/lib/postgresql')
    return versions[-1].parent


def compute_url(settings: Settings, database: str) -> str:
    """The connection string of one of Kilonova's databases."""
    if settings.choices.db == 'mariadb':
        return settings.mariadb_url(database)
    if settings.choices.db == 'postgresql':
        password = settings.password('postgresql')
        return (
            f'postgresql+psycopg2://kilonova:{password}@{IP}:{settings.ports.postgresql}/{database}'
        )
    directory = settings.state / 'sqlite'
    directory.mkdir(mode=0o700, exist_ok=True)
    return f'sqlite:///{directory}/{database}.sqlite'


def sync(
    settings: Settings,
    stamp: str,
    key: str,
    commands: list[list[str | Path]],
    env: dict[str, str] | None = None,
) -> None:
    """Run a service's schema commands, unless they ran with the same code already."""
    if settings.is_done(stamp, key):
        return
    log = settings.log / f'{stamp}.log'
    say(stamp, 'creating or upgrading the schema')
    for command in commands:
        try:
            run(command, env=environment(env), log=log)
        except CommandError as error:
            raise StepError(error.reason, log) from None
    settings.set_done(stamp, key)
