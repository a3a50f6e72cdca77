"""Every daemon as a process: RabbitMQ, a database, real placement, the fake virt driver.

Image and network service are the fakes of ``tests/fakes`` on loopback; identity is
``noauth2`` (the token is ``user:project``).
"""

import os
import pathlib
import subprocess
import sys
from typing import Any

import requests

from kilonova.tests.fakes.glance import FakeGlance
from kilonova.tests.fakes.neutron import FakeNeutron
from kilonova.tests.integration.processes import Processes, free_port, wait_for

BIN = pathlib.Path(sys.executable).parent
DAEMONS = ('nova-conductor', 'nova-scheduler', 'nova-compute', 'nova-api')


class Stack:
    """A running control plane; ``hosts`` fake hypervisors in one nova-compute."""

    def __init__(
        self,
        folder: pathlib.Path,
        database: Any,
        broker: Any,
        processes: Processes,
        hosts: int = 1,
        extra: str = '',
        backend: str = 'auto',
        daemons: tuple[str, ...] = DAEMONS,
        broker_url: str = '',
    ) -> None:
        self.folder, self.database, self.broker, self.processes = (
            folder,
            database,
            broker,
            processes,
        )
        self.glance, self.neutron = FakeGlance(), FakeNeutron()
        self.port, self.metadata_port, self.placement_port = free_port(), free_port(), free_port()
        self.novnc_port = free_port()
        self.url = f'http://127.0.0.1:{self.port}/v2.1'
        self.conf = folder / 'nova.conf'
        self.hosts, self.extra, self.backend, self.daemons = hosts, extra, backend, daemons
        self.database_url = database.url()
        self.transport_url = broker_url or getattr(broker, 'url', '')
        self._start_placement()
        self._write_conf()
        self.prepare()

    def _start_placement(self) -> None:
        conf = self.folder / 'placement.conf'
        conf.write_text(
            f'[DEFAULT]\ndebug = false\n[api]\nauth_strategy = noauth2\n[placement_database]\n'
            f'connection = {self.database.url()}\nsync_on_startup = true\n'
        )
        self.processes.start(
            'placement',
            [str(BIN / 'gunicorn'), '--workers', '1', '--threads', '4', '--keep-alive', '30',
             '--bind', f'127.0.0.1:{self.placement_port}', 'placement.wsgi.api:application'],
            {'OS_PLACEMENT_CONFIG_DIR': str(self.folder)},
        )  # fmt: skip
        self.placement = f'http://127.0.0.1:{self.placement_port}'
        wait_for('placement', lambda: requests.get(self.placement, timeout=5).ok, 90)

    def _write_conf(self) -> None:
        self.conf.write_text(f"""
[DEFAULT]
host = controller
state_path = {self.folder}/state
transport_url = {self.transport_url}
compute_driver = fake.FakeDriver
rpc_response_timeout = 20
report_interval = 2
service_down_time = 10
concurrency_backend = {self.backend}
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = {self.port}
metadata_listen = 127.0.0.1
metadata_listen_port = {self.metadata_port}
osapi_compute_workers = 1
metadata_workers = 1
[api]
auth_strategy = noauth2
[api_database]
connection = {self.database.url()}
[database]
connection = {self.database_url}
[conductor]
workers = 1
[scheduler]
workers = 1
[fake_driver]
hosts = {self.hosts}
[operations]
lease = 6
sweep_interval = 1
[oslo_concurrency]
lock_path = {self.folder}/state
[placement]
auth_type = admin_token
endpoint = {self.placement}
endpoint_override = {self.placement}
token = admin
timeout = 10
[glance]
auth_type = none
endpoint_override = {self.glance.url}
timeout = 10
[neutron]
auth_type = none
endpoint_override = {self.neutron.url}
timeout = 10
service_metadata_proxy = true
metadata_proxy_shared_secret = secret
[quota]
instances = -1
cores = -1
ram = -1
{self.extra}
""")

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [BIN / 'nova-manage', '--config-file', self.conf, *words],
            capture_output=True, text=True, env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
        )  # fmt: skip
        assert done.returncode == 0, f'nova-manage {words}: {done.stdout}{done.stderr}'
        return done.stdout

    def prepare(self) -> None:
        self.manage('api_db', 'sync')
        self.manage('cell_v2', 'map_cell0', '--database_connection', self.database.url())
        self.manage('cell_v2', 'create_cell', '--name', 'cell1')
        self.manage('db', 'sync')

    def start(self, *names: str) -> None:
        for name in names or self.daemons:
            self.processes.start(
                name,
                [str(BIN / name), '--config-file', str(self.conf)],
                {'OS_NOVA_CONFIG_DIR': str(self.folder)},
            )
        if not names and 'nova-api' in self.daemons:
            self.wait_ready()

    @staticmethod
    def program(name: str) -> str:
        return str(BIN / name)

    def wait_logged(self, name: str, words: str, seconds: float = 30) -> None:
        wait_for(f'{name} says {words}', lambda: words in self.processes.log(name), seconds)

    def wait_ready(self) -> None:
        wait_for('the API', lambda: requests.get(self.url, timeout=5).ok, 60)
        self.wait_computes()

    def wait_computes(self) -> None:
        wait_for('compute hosts', self._computes_up, 60 + self.hosts, 0.5 + self.hosts / 200)

    def _computes_up(self) -> bool:
        """Tell whether all hosts are up and have told placement what they offer."""
        found = self.get('/os-services?binary=nova-compute', token='admin:admin')['services']
        nodes = self.get('/os-hypervisors', token='admin:admin')['hypervisors']
        return (
            len([s for s in found if s['state'] == 'up']) >= self.hosts
            and len(nodes) >= self.hosts
            and all(self._offers(node['id']) for node in nodes[-20:])
        )

    def _offers(self, provider: str) -> bool:
        found = self._of_placement(f'/resource_providers/{provider}/inventories')
        return bool(found.get('inventories'))

    def _of_placement(self, path: str) -> Any:
        answer = requests.get(
            self.placement + path,
            headers={'X-Auth-Token': 'admin', 'OpenStack-API-Version': 'placement 1.28'},
            timeout=10,
        )
        return answer.json()

    # -- the API

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = 'demo:demo',
        version: str = '2.90',
        **kwargs: Any,
    ) -> requests.Response:
        headers = {'X-Auth-Token': token, 'OpenStack-API-Version': f'compute {version}'}
        return requests.request(
            method, self.url + path, json=body, headers=headers, timeout=60, **kwargs
        )

    def get(self, path: str, **kwargs: Any) -> Any:
        answer = self.call('GET', path, **kwargs)
        assert answer.status_code == 200, f'GET {path}: {answer.status_code} {answer.text}'
        return answer.json()

    def flavor(self, name: str = 'm1.tiny', **fields: Any) -> str:
        body = {'flavor': {'name': name, 'ram': 512, 'vcpus': 1, 'disk': 1, **fields}}
        answer = self.call('POST', '/flavors', body, token='admin:admin')
        assert answer.status_code == 200, answer.text
        return str(answer.json()['flavor']['id'])

    def boot(
        self,
        flavor: str,
        image: str,
        networks: Any = 'none',
        token: str = 'demo:demo',
        **fields: Any,
    ) -> str:
        body = {
            'server': {
                'name': 'test', 'flavorRef': flavor, 'imageRef': image, 'networks': networks, **fields
            }
        }  # fmt: skip
        answer = self.call('POST', '/servers', body, token=token)
        assert answer.status_code == 202, answer.text
        return str(answer.json()['server']['id'])

    def wait_status(self, uuid: str, *wanted: str, seconds: float = 60) -> dict[str, Any]:
        def check() -> Any:
            server = self.get(f'/servers/{uuid}', token='admin:admin')['server']
            return server if server['status'] in wanted else None

        found: dict[str, Any] = wait_for(f'server {uuid} is {wanted}', check, seconds, 0.2)
        return found

    def wait_gone(self, uuid: str, seconds: float = 60) -> None:
        wait_for(
            f'server {uuid} is gone',
            lambda: self.call('GET', f'/servers/{uuid}').status_code == 404,
            seconds,
            0.2,
        )

    def allocations(self, uuid: str) -> dict[str, Any]:
        """Return what placement holds for a server."""
        allocations: dict[str, Any] = self._of_placement(f'/allocations/{uuid}')['allocations']
        return allocations

    def close(self) -> None:
        self.glance.close()
        self.neutron.close()


class SQLite:
    """Files for those who want a database each."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.made = folder, 0

    def url(self) -> str:
        self.made += 1
        return f'sqlite:///{self.folder}/t{self.made}.sqlite'


class AllInOneStack(Stack):
    """One process, with what nova.conf must say and no more; placement on SQLite."""

    def __init__(self, folder: pathlib.Path, processes: Processes) -> None:
        super().__init__(folder, SQLite(folder), None, processes, daemons=('nova-allinone',))

    def _write_conf(self) -> None:
        self.conf.write_text(f"""
[DEFAULT]
state_path = {self.folder}/state
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = {self.port}
metadata_listen = 127.0.0.1
metadata_listen_port = {self.metadata_port}
[api]
auth_strategy = noauth2
[vnc]
novncproxy_host = 127.0.0.1
novncproxy_port = {self.novnc_port}
[placement]
auth_type = admin_token
endpoint = {self.placement}
token = admin
[glance]
auth_type = none
endpoint_override = {self.glance.url}
[neutron]
auth_type = none
endpoint_override = {self.neutron.url}
""")

    def prepare(self) -> None:
        """The process does it when it starts."""

    def start(self, *names: str) -> None:
        super().start(*self.daemons)
        self.wait_ready()
