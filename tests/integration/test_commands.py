"""The operator's commands, and what daemons say that cannot start."""

import configparser
import os
import pathlib
import re
import socket
import subprocess
from typing import Any

import pytest

from kilonova.tests.integration.processes import Processes, free_port, wait_for
from kilonova.tests.integration.stack import BIN, DAEMONS, SQLite

pytestmark = pytest.mark.integration
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = {**os.environ, 'PYTHONWARNINGS': 'ignore'}


def _commands() -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / 'setup.cfg')
    lines = parser['options.entry_points']['console_scripts'].split('\n')
    return [line.partition('=')[0].strip() for line in lines if line]


class Files:
    """A nova.conf, and commands that read it."""

    def __init__(self, folder: pathlib.Path, text: str, cell0: str = '') -> None:
        self.conf, self.cell0 = folder / 'nova.conf', cell0
        self.conf.write_text(text)

    def run(self, name: str, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [BIN / name, '--config-file', self.conf, *words],
            capture_output=True, text=True, timeout=60, env=ENVIRONMENT,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == code, f'{name} {words}: {done.returncode} {output}'
        assert 'Traceback' not in output
        return output


@pytest.fixture(params=('sqlite', 'mariadb', 'postgresql'))
def files(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Files:
    """Return files that name empty databases on each kind of server."""
    server: Any = (
        SQLite(tmp_path) if request.param == 'sqlite' else request.getfixturevalue(request.param)
    )
    return Files(
        tmp_path,
        '[DEFAULT]\ntransport_url = rabbit://user:sesame@127.0.0.1:1/\n'
        f'[api_database]\nconnection = {server.url()}\n[database]\nconnection = {server.url()}\n'
        '[placement]\nauth_type = none\nendpoint_override = http://127.0.0.1:1\n',
        server.url(),
    )


def test_a_new_installation(files: Files) -> None:
    files.run('nova-manage', 'api_db', 'sync')
    files.run('nova-manage', 'cell_v2', 'map_cell0', '--database_connection', files.cell0)
    files.run('nova-manage', 'db', 'sync')
    for category in ('api_db', 'db'):
        assert re.fullmatch(r'\w+\n', files.run('nova-manage', category, 'version'))
    assert 'No compute host' in files.run('nova-manage', 'cell_v2', 'simple_cell_setup', code=1)
    cells = files.run('nova-manage', 'cell_v2', 'list_cells')
    assert 'cell0' in cells and 'cell1' in cells
    assert 'sesame' not in cells
    assert 'No compute host' in (files.run('nova-manage', 'cell_v2', 'simple_cell_setup', code=1))
    files.run('nova-manage', 'cell_v2', 'discover_hosts')
    assert 'Hostname' in files.run('nova-manage', 'cell_v2', 'list_hosts')
    assert 'already exists' in files.run('nova-manage', 'cell_v2', 'create_cell', code=2)
    report = files.run('nova-status', 'upgrade', 'check', code=2)
    assert re.search(r'Cells v2 *\|\n\| Result: Warning', report), report
    assert re.search(r'Placement API *\|\n\| Result: Failure', report), report


@pytest.mark.parametrize(
    'words',
    (['nova-manage'], ['nova-manage', 'nonsense'], ['nova-manage', 'db'],
     ['nova-manage', 'cell_v2', 'delete_cell'], ['nova-manage', 'db', 'sync', '--odd'],
     ['nova-status', 'upgrade'], ['nova-policy'], ['nova-compute', '--odd']),
)  # fmt: skip
def test_wrong_words_are_answered_with_help(words: list[str]) -> None:
    done = subprocess.run(
        [BIN / words[0], *words[1:]], capture_output=True, text=True, timeout=60, env=ENVIRONMENT
    )
    assert done.returncode not in (0, -9)
    assert 'usage: ' in done.stderr
    assert 'Traceback' not in done.stderr


def test_help_of_every_command() -> None:
    running = {
        name: subprocess.Popen(
            [BIN / name, '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=ENVIRONMENT,
        )
        for name in _commands()
    }  # fmt: skip
    for name, process in running.items():
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, f'{name}: {output}'
        assert f'usage: {name}' in output
        assert 'Traceback' not in output


def test_which_rules_let_a_reader_in(tmp_path: pathlib.Path) -> None:
    files = Files(tmp_path, '[DEFAULT]\n')
    words = ('--os-roles', 'reader', '--os-project-id', 'p', 'policy', 'check')
    allowed = files.run('nova-policy', *words).split()
    assert 'os_compute_api:servers:show' in allowed
    assert 'os_compute_api:servers:create' not in allowed
    files.run('nova-policy', *words, '--api-name', 'servers:create', code=1)


# -- daemons that cannot start

BASE = (
    '[DEFAULT]\ntransport_url = rabbit://guest:guest@127.0.0.1:1/\n[api]\nauth_strategy = noauth2\n'
)
ALL = (*DAEMONS, 'nova-allinone')


@pytest.mark.parametrize(
    'names, text, words',
    (
        (ALL, '[DEFAULT\n', 'nova.conf'),
        (ALL, '[DEFAULT]\nconcurrency_backend = fibres\n', 'fibres'),
        (DAEMONS, '[DEFAULT]\ntransport_url = pigeon://here/\n', 'pigeon'),
        (('nova-scheduler', 'nova-api'), BASE + '[upgrade_levels]\nconductor = newest\n', 'upgrade_levels'),
        (('nova-conductor',), BASE, '[api_database]connection is not set'),
        (('nova-conductor',), BASE + '[api_database]\nconnection = nonsense\n[database]\n'
         'connection = nonsense\n', '[api_database]connection cannot be used'),
        (('nova-conductor',), BASE + '[api_database]\nconnection = sqlite:////nowhere/x\n'
         'max_retries = 0\n[database]\nconnection = sqlite:////nowhere/y\n', 'does not answer'),
        (('nova-conductor',), BASE + '[api_database]\nconnection = sqlite:///{folder}/x\n'
         '[database]\nconnection = sqlite:///{folder}/y\n', 'nova-manage api_db sync'),
        (('nova-compute',), BASE + 'compute_driver = odd.Driver\n', 'odd.Driver'),
    ),
)  # fmt: skip
def test_a_daemon_says_what_is_wrong(
    tmp_path: pathlib.Path, names: tuple[str, ...], text: str, words: str
) -> None:
    text = text.replace('{folder}', str(tmp_path))
    if 'compute_driver' in text:
        text = text.replace('[api]', 'compute_driver = odd.Driver\n[api]')
    files = Files(tmp_path, text)
    running = {
        name: subprocess.Popen(
            [BIN / name, '--config-file', files.conf], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
        )
        for name in names
    }  # fmt: skip
    for name, process in running.items():
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode not in (0, -9), f'{name}: {output}'
        assert 'Traceback' not in output, f'{name}: {output}'
        assert [line for line in output.splitlines() if words in line], f'{name}: {output}'


def test_an_address_that_is_taken(tmp_path: pathlib.Path) -> None:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        sock.listen()
        port = sock.getsockname()[1]
        address = (
            f'metadata_listen = 127.0.0.1\nmetadata_listen_port = {port}\nmetadata_workers = 1\n'
        )
        files = Files(tmp_path, BASE.replace('[api]', address + '[api]'))
        assert f'cannot listen on 127.0.0.1 port {port}' in files.run('nova-api-metadata', code=1)


def test_daemons_wait_for_broker_and_database(tmp_path: pathlib.Path) -> None:
    """Nothing is there yet, as when a machine boots: they say what they wait for, and can be stopped."""
    url = f'mysql+pymysql://nova:sesame@127.0.0.1:{free_port()}/nova'
    files = Files(
        tmp_path, BASE + f'[api_database]\nconnection = {url}\n[database]\nconnection = {url}\n'
    )
    expected = {'nova-conductor': 'Database does not answer', 'nova-scheduler': 'is not ready yet'}
    processes = Processes(tmp_path)
    try:
        for name in expected:
            processes.start(name, [str(BIN / name), '--config-file', str(files.conf)])
        for name, words in expected.items():
            wait_for(f'{name} says so', lambda n=name, w=words: w in processes.log(n), 30)  # type: ignore[misc]
            assert processes.stop(name) == 0
            assert 'sesame' not in processes.log(name)
    finally:
        processes.close()
