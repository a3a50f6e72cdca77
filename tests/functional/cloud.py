"""All daemons in this process: HTTP in, the fake virt driver out, real placement, SQLite."""

import json
import pathlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
import webob
from oslo_config import cfg
from sqlalchemy import event

from kilonova.allinone.service import AllInOne
from kilonova.common import config, rpc
from kilonova.common.clients import keystone, limits
from kilonova.common.context import RequestContext
from kilonova.compute import service as compute
from kilonova.conductor import first_start
from kilonova.conductor.manage import cmd as manage
from kilonova.tests.fakes.cinder import FakeCinder
from kilonova.tests.fakes.glance import FakeGlance
from kilonova.tests.fakes.keystone import ENDPOINT, FakeKeystone
from kilonova.tests.fakes.manila import FakeManila
from kilonova.tests.fakes.neutron import FakeNeutron
from kilonova.tests.fakes.placement_fixture import PlacementFixture
from kilonova.tests.fakes.server import FakeService


class Answer:
    """One HTTP answer."""

    def __init__(self, response: webob.Response) -> None:
        self.status, self.headers, self.text = response.status_int, response.headers, response.text

    @property
    def json(self) -> Any:
        return json.loads(self.text)


BY_THEMSELVES = ('report_state', 'report_states', 'sync_power_states', 'hypervisor_health')
"""What hosts say without being asked."""


class Counts:
    """What happened while counted: RPC by 'kind method', SQL statements, placement requests."""

    def __init__(self) -> None:
        self.rpc: list[str] = []
        self.sql: list[str] = []
        self.placement: list[tuple[str, str]] = []
        self.neutron: list[tuple[str, str]] = []


class MoreCell:
    """A cell beside the first one: a database, a bus, hosts ``cellN-1``, ``cellN-2`` …."""

    def __init__(self, folder: pathlib.Path, conf: cfg.ConfigOpts, number: int, hosts: int) -> None:
        self.name, self.folder, self.conf = f'cell{number}', folder / f'cell{number}', conf
        self.folder.mkdir()
        self.hosts = [f'{self.name}-{host}' for host in range(1, hosts + 1)]
        self.url = f'sqlite:///{self.folder}/nova.sqlite'
        self.transport_url = f'{rpc.IN_MEMORY}{self.name}'
        first_start.prepare(conf)
        own = folder / f'{self.name}.conf'
        own.write_text((folder / 'nova.conf').read_text() + f'[database]\nconnection={self.url}\n')
        self.manage('db', 'sync', '--local_cell', path=own)
        self.manage('cell_v2', 'create_cell', '--name', self.name, '--database_connection',
                    self.url, '--transport-url', self.transport_url)  # fmt: skip

    def manage(self, *words: str, path: pathlib.Path | None = None) -> None:
        """Run nova-manage."""
        conf = path or self.folder.parent / 'nova.conf'
        assert manage.main(['--config-file', str(conf), *words]) == 0

    def start(self) -> None:
        self.transport = rpc.get_transport(self.conf, self.transport_url)
        self.computes = compute.Computes(self.conf, self.transport, self.hosts)
        self.computes.start()
        self.manage('cell_v2', 'discover_hosts', '--by-service')

    def stop(self) -> None:
        self.computes.stop()
        self.transport.cleanup()

    @contextmanager
    def down(self, cloud: 'Cloud') -> Iterator[None]:
        """Take the database away; wait until it is found again afterwards."""
        away = self.folder.with_suffix('.away')
        [cell] = [one for one in cloud.all.conductor.fleet.cells if one.name == self.name]
        self.folder.rename(away)
        cell.database.close()
        try:
            yield
        finally:
            away.rename(self.folder)
            wait(lambda: not cell.is_down, f'{self.name} is there again')


class Cloud:
    """A whole control plane with its fellow services; ``call`` speaks to the compute API."""

    def __init__(
        self, folder: pathlib.Path, hosts: int = 1, extra: str = '', cells: int = 1
    ) -> None:
        self.folder = folder
        self.glance, self.neutron, self.cinder = FakeGlance(), FakeNeutron(), FakeCinder()
        self.manila, self.keystone = FakeManila(), FakeKeystone()
        self.fellows: list[FakeService] = [self.glance, self.neutron, self.cinder, self.manila]
        """Whom servers get what they have from; placement is real."""
        self.placement = PlacementFixture(folder)
        self.placement.start()
        path = folder / 'nova.conf'
        path.write_text(self._conf(hosts, extra))
        self.conf = cfg.CONF
        self.conf.reset()
        config.register(AllInOne.options(), self.conf)
        config.parse(
            ['--config-file', str(path), '--config-dir', str(folder)], 'nova-test', self.conf
        )
        self.placement.configure(self.conf)
        self.transport = rpc.get_transport(self.conf, 'fake://')
        self.all = AllInOne(self.conf, self.transport, serve_http=False)
        self.more_cells = [
            MoreCell(folder, self.conf, number, hosts) for number in range(2, cells + 1)
        ]
        self.all.start()
        for cell in self.more_cells:
            cell.start()

    def _conf(self, hosts: int, extra: str) -> str:
        return f"""
[DEFAULT]
host = controller
state_path = {self.folder}
compute_driver = fake.FakeDriver
rpc_response_timeout = 30
use_stderr = false
[api]
auth_strategy = noauth2
[api_database]
connection = sqlite:///{self.folder}/api.sqlite
[database]
connection = sqlite:///{self.folder}/cell1.sqlite
[fake_driver]
hosts = {hosts}
[operations]
lease = 10
sweep_interval = 1
[oslo_concurrency]
lock_path = {self.folder}
[glance]
auth_type = none
endpoint_override = {self.glance.url}
timeout = 5
[neutron]
auth_type = none
endpoint_override = {self.neutron.url}
timeout = 5
service_metadata_proxy = true
metadata_proxy_shared_secret = secret
[cinder]
auth_type = none
endpoint_template = {self.cinder.url}/v3
timeout = 5
[oslo_limit]
auth_type = none
endpoint_override = {self.keystone.url}
endpoint_id = {ENDPOINT}
timeout = 5
[manila]
auth_type = none
endpoint_override = {self.manila.url}/v2
timeout = 5
{extra}
"""

    def close(self) -> None:
        for cell in self.more_cells:
            cell.stop()
        self.all.stop()
        self.transport.cleanup()
        self.placement.stop()
        self.glance.close()
        self.manila.close()
        self.keystone.close()
        self.neutron.close()
        self.cinder.close()
        self.conf.clear()
        keystone.forget()
        limits.forget()

    # -- speaking to it

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = 'demo:demo',
        version: str | None = '2.90',
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send one request; ``path`` is below /v2.1 unless it begins with '//'."""
        url = path[1:] if path.startswith('//') else '/v2.1' + path
        request = webob.Request.blank(url, method=method)
        if body is not None or raw is not None:
            request.body = raw if raw is not None else json.dumps(body).encode()
            request.content_type = 'application/json'
        if token:
            request.headers['X-Auth-Token'] = token
        if version:
            request.headers['OpenStack-API-Version'] = f'compute {version}'
        request.headers.update(headers or {})
        return Answer(request.get_response(self.all.compute_app))

    def get(self, path: str, **kwargs: Any) -> Any:
        answer = self.call('GET', path, **kwargs)
        assert answer.status == 200, f'{path}: {answer.status} {answer.text}'
        return answer.json

    def admin(self, method: str, path: str, body: Any = None, **kwargs: Any) -> Answer:
        return self.call(method, path, body, token='admin:admin', **kwargs)

    def flavor(self, name: str = 'm1.tiny', **fields: Any) -> str:
        body = {'flavor': {'name': name, 'ram': 512, 'vcpus': 1, 'disk': 1, **fields}}
        answer = self.admin('POST', '/flavors', body)
        assert answer.status == 200, answer.text
        return str(answer.json['flavor']['id'])

    def boot(self, flavor: str, image: str, networks: Any = 'none', **fields: Any) -> str:
        server = {
            'name': 'test', 'flavorRef': flavor, 'imageRef': image, 'networks': networks, **fields
        }  # fmt: skip
        answer = self.call('POST', '/servers', {'server': server})
        assert answer.status == 202, answer.text
        return str(answer.json['server']['id'])

    def wait_status(self, uuid: str, *wanted: str, seconds: float = 30) -> dict[str, Any]:
        def check() -> Any:
            server = self.get(f'/servers/{uuid}', token='admin:admin')['server']
            settled = server['status'] in wanted and server['OS-EXT-STS:task_state'] is None
            return server if settled else None

        found: dict[str, Any] = wait(check, f'{uuid} is {wanted}', seconds)
        return found

    def wait_gone(self, uuid: str, seconds: float = 30) -> None:
        """Wait as one who sees every project's servers."""

        def gone() -> bool:
            return self.admin('GET', f'/servers/{uuid}').status == 404

        wait(gone, f'{uuid} is gone', seconds)

    def action(self, uuid: str, **body: Any) -> Answer:
        return self.call('POST', f'/servers/{uuid}/action', body)

    @contextmanager
    def counted(self) -> Iterator[Counts]:
        """Count what the body causes, in all daemons."""
        counts = Counts()
        first_placement = len(self.placement.requests)
        first_neutron = len(self.neutron.requests)

        def message(kind: str, method: str, context: RequestContext) -> None:
            # A host that looks at one server does so in nobody's name, whenever it gets to it.
            looking = method == 'get_server' and context.user_id is None
            if method not in BY_THEMSELVES and not looking:
                counts.rpc.append(f'{kind} {method}')

        def statement(connection: Any, _cursor: Any, text: str, *_: Any) -> None:
            ours = 'placement' not in connection.engine.url.database
            if ours and not text.startswith(('PRAGMA', 'BEGIN')):
                counts.sql.append(text)

        rpc.Client.observers.append(message)
        event.listen(sqlalchemy.Engine, 'before_cursor_execute', statement)
        try:
            yield counts
        finally:
            rpc.Client.observers.remove(message)
            event.remove(sqlalchemy.Engine, 'before_cursor_execute', statement)
            counts.placement = self.placement.requests[first_placement:]
            counts.neutron = self.neutron.requests[first_neutron:]


def wait(check: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Return the first true answer of ``check``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = check()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f'not within {seconds} s: {what}')
