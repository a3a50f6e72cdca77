"""``nova-allinone``: everything in one process, no broker and no database server."""

import pathlib
import sqlite3
import urllib.parse
from collections.abc import Iterator

import psutil
import pytest

from kilonova.tests.integration.processes import Processes
from kilonova.tests.integration.stack import AllInOneStack

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def stack(folder: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[AllInOneStack]:
    own = folder / 'allinone'
    own.mkdir()
    processes = Processes(own)
    made = AllInOneStack(own, processes)
    try:
        made.start()
        yield made
    finally:
        processes.close()
        made.close()
        if request.session.testsfailed:
            print(processes.log('nova-allinone')[-6000:])


def test_servers_survive_a_restart(stack: AllInOneStack) -> None:
    flavor, image = stack.flavor(), stack.glance.add()
    network = stack.neutron.add_network()
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    assert stack.wait_status(uuid, 'ACTIVE')['addresses']['private']
    assert stack.processes.stop('nova-allinone') == 0
    stack.start()
    assert stack.get(f'/servers/{uuid}')['server']['status'] == 'ACTIVE'
    assert stack.call('POST', f'/servers/{uuid}/action', {'os-stop': None}).status_code == 202
    stack.wait_status(uuid, 'SHUTOFF')
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)
    assert stack.allocations(uuid) == {}
    assert stack.neutron.ports == {}


def test_one_process_and_no_server_beside_it(stack: AllInOneStack) -> None:
    process = psutil.Process(stack.processes.running['nova-allinone'].pid)
    assert process.children() == []
    peers = {c.raddr.port for c in process.net_connections('tcp') if c.raddr}
    listening = {
        c.laddr.port for c in process.net_connections('tcp') if c.status == psutil.CONN_LISTEN
    }
    assert listening == {stack.port, stack.metadata_port, stack.novnc_port}
    urls = (stack.placement, stack.glance.url, stack.neutron.url)
    fellows = {urllib.parse.urlsplit(url).port for url in urls}
    assert peers - listening - _clients(process, listening) <= fellows
    for name in ('nova_api', 'nova', 'nova_cell0'):
        with sqlite3.connect(stack.folder / 'state' / f'{name}.sqlite') as database:
            tables = {row[0] for row in database.execute('SELECT name FROM sqlite_master')}
        assert len(tables) > 5, name


def _clients(process: psutil.Process, listening: set[int]) -> set[int]:
    """Return the ports of those who are connected to the APIs."""
    return {
        c.raddr.port
        for c in process.net_connections('tcp')
        if c.raddr and c.laddr.port in listening
    }


def test_it_stops_clean(stack: AllInOneStack) -> None:
    assert stack.processes.stop('nova-allinone') == 0
    assert 'Traceback' not in stack.processes.log('nova-allinone')
    assert 'did not stop within' not in stack.processes.log('nova-allinone')
