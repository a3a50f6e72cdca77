"""nova-manage and nova-status, by their command lines."""

import json

import pytest
import sqlalchemy as sa

from kilonova.conductor import first_start, status
from kilonova.conductor.manage import cell_servers, cmd
from kilonova.db import cells, engine, hosts
from kilonova.db.migrations import schema
from kilonova.db.models.api import CellMapping, InstanceMapping
from kilonova.db.models.cell import ServiceRow
from kilonova.db.models.servers import InstanceRow
from kilonova.db.types import utcnow
from kilonova.tests.fakes.cinder import FakeCinder
from kilonova.tests.fixtures.databases import make_conf
from kilonova.tests.unit.conductor.hosts_world import make_node

RABBIT = 'rabbit://user:secret@mq:5672/'


class Commands:
    """Runs commands with a nova.conf that names empty databases."""

    def __init__(self, server, folder, capsys) -> None:
        self.capsys = capsys
        self.urls = {name: server.make(name) for name in ('api', 'cell', 'cell0')}
        self.path = folder / 'nova.conf'
        # Percent signs and braces are what configuration files and templates trip over.
        self.path.write_text(
            f'[DEFAULT]\ntransport_url = {RABBIT}\nuse_stderr = false\n'
            f'[database]\nconnection = {self.urls["cell"]}\n'
            f'[api_database]\nconnection = {self.urls["api"]}\n'
        )
        self._open: list[engine.Database] = []

    def __call__(self, *words, code=0, main=cmd.main):
        self.capsys.readouterr()
        assert main(['--config-file', str(self.path), *words]) == code, self.capsys.readouterr()
        return self.capsys.readouterr().out

    def database(self, name):
        found = engine.Database(self.urls[name])
        self._open.append(found)
        return found

    def close(self):
        for database in self._open:
            database.close()

    def prepare(self):
        self('api_db', 'sync')
        self('cell_v2', 'map_cell0', '--database_connection', self.urls['cell0'])
        self('db', 'sync')
        return self('cell_v2', 'create_cell', '--name', 'cell1', '--verbose').strip()

    def add_host(self, name, version=1):
        with self.database('cell').transaction() as session:
            session.add(
                ServiceRow(uuid=name, host=name, binary=hosts.COMPUTE, version=version,
                           last_seen_up=utcnow())
            )  # fmt: skip


@pytest.fixture
def nova(database_server, tmp_path, capsys):
    commands = Commands(database_server, tmp_path, capsys)
    yield commands
    commands.close()


def test_schemas(nova):
    assert nova('api_db', 'version').strip() == ''
    nova('api_db', 'sync')
    assert nova('api_db', 'version').strip() == schema.head('api')
    assert nova('db', 'version').strip() == ''
    assert 'cell0 is not mapped' in nova('db', 'sync')
    assert nova('db', 'version').strip() == schema.head('cell')
    nova('cell_v2', 'map_cell0', '--database_connection', nova.urls['cell0'])
    nova('db', 'sync', '--local_cell')
    assert schema.version(nova.database('cell0'), 'cell') is None
    nova('db', 'sync')
    assert schema.version(nova.database('cell0'), 'cell') == schema.head('cell')
    nova('api_db', 'sync', 'nothing', code=1)
    nova('db', 'sync', '0001')


def test_sync_of_cell0_needs_the_api_database(nova):
    assert 'api_db sync' in nova('db', 'sync', code=1)
    nova('db', 'sync', '--local_cell')


def test_cells(nova):
    uuid = nova.prepare()
    assert 'already' in nova('cell_v2', 'map_cell0')
    assert 'already exists' in nova('cell_v2', 'create_cell', '--name', 'again', code=2)
    listed = nova('cell_v2', 'list_cells')
    assert uuid in listed and cells.CELL0_UUID in listed
    assert 'secret' not in listed and 'rabbit://user:****@mq:5672/' in listed
    assert RABBIT in nova('cell_v2', 'list_cells', '--verbose')
    other = nova(
        'cell_v2', 'create_cell', '--name', 'two', '--transport-url', 'rabbit://two/',
        '--database_connection', 'mysql://two/nova', '--disabled', '--verbose',
    ).strip()  # fmt: skip
    with nova.database('api').reader() as session:
        row = cells.find(session, other)
        assert (row.disabled, row.transport_url) == (True, 'rabbit://two/')


def test_update_cell(nova):
    uuid = nova.prepare()
    nova('cell_v2', 'update_cell', '--cell_uuid', uuid, '--name', 'new', '--disable')
    with nova.database('api').reader() as session:
        row = cells.find(session, uuid)
        assert (row.name, row.disabled, row.transport_url) == ('new', True, RABBIT)
    nova('cell_v2', 'update_cell', '--cell_uuid', uuid, '--enable')
    nova('cell_v2', 'update_cell', '--cell_uuid', 'x', code=1)
    nova('cell_v2', 'update_cell', '--cell_uuid', uuid, '--enable', '--disable', code=4)
    nova('cell_v2', 'update_cell', '--cell_uuid', cells.CELL0_UUID, '--disable', code=5)
    nova('cell_v2', 'update_cell', '--cell_uuid', cells.CELL0_UUID, '--name', 'zero')
    other = nova(
        'cell_v2', 'create_cell', '--transport-url', 'rabbit://two/',
        '--database_connection', 'mysql://two/nova', '--verbose',
    ).strip()  # fmt: skip
    nova('cell_v2', 'update_cell', '--cell_uuid', other, '--transport-url', RABBIT, code=3)
    with nova.database('api').reader() as session:
        assert cells.find(session, cells.CELL0_UUID).database_connection == nova.urls['cell0']
        assert cells.find(session, other).transport_url == 'rabbit://two/'


def test_hosts(nova):
    uuid = nova.prepare()
    nova('cell_v2', 'discover_hosts', '--strict', code=1)
    nova.add_host('h1')
    nova('cell_v2', 'discover_hosts', '--strict', code=1)  # it has no compute node yet
    assert 'h1' in nova('cell_v2', 'discover_hosts', '--by-service', '--verbose', '--strict')
    assert '|   cell1   |' in nova('cell_v2', 'list_hosts')
    assert 'h1' in nova('cell_v2', 'list_hosts', '--cell_uuid', uuid)
    nova('cell_v2', 'list_hosts', '--cell_uuid', 'x', code=1)
    nova('cell_v2', 'discover_hosts', '--cell_uuid', 'x', code=1)
    delete = ('cell_v2', 'delete_host', '--cell_uuid')
    nova(*delete, 'x', '--host', 'h1', code=1)
    nova(*delete, uuid, '--host', 'h2', code=2)
    nova(*delete, cells.CELL0_UUID, '--host', 'h1', code=3)
    nova(*delete, uuid, '--host', 'h1')
    assert 'h1' not in nova('cell_v2', 'list_hosts')


def test_delete_cell(nova):
    uuid = nova.prepare()
    nova.add_host('h1')
    nova('cell_v2', 'discover_hosts', '--by-service')
    delete = ('cell_v2', 'delete_cell', '--cell_uuid')
    nova(*delete, 'x', code=1)
    nova(*delete, uuid, code=2)
    with nova.database('api').transaction() as session:
        cell_id = cells.find(session, uuid).id
        session.add(InstanceMapping(instance_uuid='i', cell_id=cell_id, project_id='p'))
    nova(*delete, uuid, '--force', code=3)
    with nova.database('api').transaction() as session:
        session.execute(sa.update(InstanceMapping).values(queued_for_delete=True))
    nova('cell_v2', 'delete_host', '--cell_uuid', uuid, '--host', 'h1')
    nova(*delete, uuid, code=4)
    nova(*delete, uuid, '--force')
    with nova.database('api').reader() as session:
        assert [row.name for row in cells.find_all(session)] == ['cell0']


def test_simple_cell_setup(nova):
    nova('api_db', 'sync')
    nova('cell_v2', 'map_cell0', '--database_connection', nova.urls['cell0'])
    nova('db', 'sync')
    nova('cell_v2', 'simple_cell_setup', code=1)  # no host yet
    nova.add_host('h1')
    nova('cell_v2', 'discover_hosts', '--by-service')
    nova('cell_v2', 'simple_cell_setup')
    with nova.database('api').reader() as session:
        assert [row.name for row in cells.find_all(session)] == ['cell0', 'cell1']


def test_missing_settings_and_wrong_words(nova, capsys):
    nova.path.write_text('[DEFAULT]\nuse_stderr = false\n')
    assert '[api_database]connection' in nova('api_db', 'sync', code=1)
    assert '[database]connection' in nova('db', 'version', code=1)
    for words in ((), ('cell_v2',), ('cell_v2', 'nonsense'), ('nonsense',)):
        with pytest.raises(SystemExit) as end:
            nova(*words)
        assert end.value.code == 2
    for asked in (['--help'], ['cell_v2', '--help'], ['cell_v2', 'create_cell', '--help']):
        with pytest.raises(SystemExit) as end:
            nova(*asked)
        assert end.value.code == 0
    assert '--database_connection' in capsys.readouterr().out


def add_server(nova, uuid, **fields):
    now = utcnow()
    values = {
        'uuid': uuid, 'name': uuid, 'project_id': 'p', 'user_id': 'u', 'host': 'h1', 'node': 'h1',
        'vm_state': 'active', 'flavor': {}, 'flavorid': 'f', 'vcpus': 2, 'memory_mb': 1024,
        'root_gb': 10, 'ephemeral_gb': 1, 'image': {}, 'metadata_': {}, 'system_metadata': {},
        'network_info': [], 'security_groups': [], 'created_at': now, 'updated_at': now,
    }  # fmt: skip
    with nova.database('cell').transaction() as session:
        session.add(InstanceRow(**values | fields))


def mappings(nova):
    with nova.database('api').reader() as session:
        rows = session.scalars(sa.select(InstanceMapping).order_by(InstanceMapping.id)).all()
    return {row.instance_uuid: row for row in rows}


def test_map_instances(nova, monkeypatch):
    cell = nova.prepare()
    command = ('cell_v2', 'map_instances', '--cell_uuid')
    nova(*command, 'x', code=1)
    for wrong in ('0', '-1', 'many'):
        assert wrong in nova(*command, cell, f'--max-count={wrong}', code=127)
    nova(*command, cell)
    monkeypatch.setattr(cell_servers, 'BATCH', 2)
    for number in range(5):
        add_server(nova, f's{number}', deleted=7 if number == 3 else 0)
    nova(*command, cell, '--max-count', '3', code=1)
    assert list(mappings(nova)) == ['s0', 's1', 's2']
    nova(*command, cell, '--max-count', '2', '--reset')
    nova(*command, cell)
    found = mappings(nova)
    assert list(found) == [f's{number}' for number in range(5)]
    one = found['s4']
    assert (one.project_id, one.user_id, one.vcpus, one.memory_mb) == ('p', 'u', 2, 1024)
    assert [row.queued_for_delete for row in found.values()] == [False] * 3 + [True, False]


def test_verify_instance(nova):
    cell = nova.prepare()
    command = ('cell_v2', 'verify_instance', '--uuid')
    for uuid, deleted in (('lives', 0), ('dead', 5)):
        add_server(nova, uuid, deleted=deleted)
    assert 'not mapped' in nova(*command, 'lives', code=1)
    nova('cell_v2', 'map_instances', '--cell_uuid', cell)
    assert f'is in cell cell1 ({cell})' in nova(*command, 'lives')
    assert nova(*command, 'lives', '--quiet') == ''
    assert 'deleted' in nova(*command, 'dead', code=3)
    with nova.database('api').transaction() as session:
        session.add(InstanceMapping(instance_uuid='nowhere', project_id='p'))
        one = session.scalars(
            sa.select(InstanceMapping).where(InstanceMapping.instance_uuid == 'lives')
        ).one()
        session.add(InstanceMapping(instance_uuid='lost', cell_id=one.cell_id, project_id='p'))
    assert 'names no cell' in nova(*command, 'nowhere', code=2)
    assert 'no record' in nova(*command, 'lost', code=4)


def test_map_cell_and_hosts(nova):
    nova('api_db', 'sync')
    nova('cell_v2', 'map_cell0', '--database_connection', nova.urls['cell0'])
    nova('db', 'sync')
    command = ('cell_v2', 'map_cell_and_hosts', '--name', 'first', '--verbose')
    assert 'no compute host' in nova(*command, code=1)
    nova.add_host('h1')
    uuid = nova(*command).strip()
    assert 'mapped already' in nova(*command)
    nova.add_host('h2')
    assert nova(*command).strip() == uuid  # it is the same database, so the same cell
    listed = nova('cell_v2', 'list_hosts')
    assert 'h1' in listed and 'h2' in listed and listed.count(uuid) == 2


def test_machine_types(nova):
    nova.prepare()
    with nova.database('cell').transaction() as session:
        for host, kind in (('h1', 'QEMU'), ('h2', 'fake')):
            hosts.store_node(session, make_node(host, hypervisor_type=kind))
    add_server(nova, 'by-image', image={'properties': {'hw_machine_type': 'q35'}})
    add_server(nova, 'by-host', system_metadata={'image_hw_machine_type': 'pc'})
    add_server(nova, 'gone', deleted=9)
    add_server(nova, 'elsewhere', host='h2')

    def check():
        return _flat(nova('upgrade', 'check', code=2, main=status.main))

    assert 'Check: hw_machine_type unset Result: Success' in check()
    add_server(nova, 'unset')
    found = check()
    assert 'Check: hw_machine_type unset Result: Warning' in found
    assert '1 servers have no machine type' in found


def _flat(table):
    """Undo the frame and the line breaks."""
    return ' '.join(table.replace('|', ' ').split())


def test_upgrade_check(nova, placement_fixture):
    with nova.path.open('a') as conf:
        conf.write(
            '[service_user]\nsend_service_user_token = true\nauth_type = none\n[placement]\n'
        )
        conf.writelines(f'{k} = {v}\n' for k, v in placement_fixture.options().items())

    def check(code):
        return _flat(nova('upgrade', 'check', code=code, main=status.main))

    assert 'run "nova-manage api_db' in check(2)
    nova.prepare()
    found = check(1)
    assert 'No compute host has registered yet' in found
    assert found.count('Result: Success') == 6
    nova.add_host('h1')
    assert 'in no cell: h1' in check(2)
    nova('cell_v2', 'discover_hosts', '--by-service')
    assert check(0).count('Result: Success') == 7
    placement_fixture.intercept = lambda method, path: (503, 'x', 'y')
    assert 'placement is unavailable' in check(2)


def test_a_cinder_that_is_too_old_is_found(nova, monkeypatch):
    nova.prepare()

    def check():
        return _flat(nova('upgrade', 'check', code=2, main=status.main))

    assert 'Check: Cinder API Result: Success' in check()
    service = FakeCinder()
    try:
        with nova.path.open('a') as conf:
            conf.write(f'[cinder]\nauth_type = none\nendpoint_template = {service.url}/v3\n')
        assert 'Check: Cinder API Result: Success' in check()
        monkeypatch.setattr(status, 'MINIMUM_CINDER', (3, 999))
        assert 'is needed, there is 3.71.' in check()
    finally:
        service.close()
    assert 'Check: Cinder API Result: Failure' in check()


def test_json_policy_is_found(nova, tmp_path):
    (tmp_path / 'policy.yaml').write_text('{"os_compute_api:servers:show": ""}')
    with nova.path.open('a') as conf:
        conf.write(f'[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n')
    nova.prepare()
    assert 'is JSON' in nova('upgrade', 'check', code=2, main=status.main)
    (tmp_path / 'policy.yaml').write_text('# yes\n"os_compute_api:servers:show": ""\n')
    assert 'is JSON' not in nova('upgrade', 'check', code=2, main=status.main)


def test_first_start_makes_everything(tmp_path):
    conf = make_conf()
    conf.set_override('connection', f'sqlite:///{tmp_path}/api.sqlite', 'api_database')
    conf.set_override('connection', f'sqlite:///{tmp_path}/nova.sqlite', 'database')
    for _ in range(2):
        first_start.prepare(conf)
    database = engine.Database(conf.api_database.connection)
    with database.reader() as session:
        rows = session.scalars(sa.select(CellMapping).order_by(CellMapping.id)).all()
        assert [row.name for row in rows] == ['cell0', 'cell1']
        assert cells.local(session, conf) is rows[1]
    zero = engine.Database(f'sqlite:///{tmp_path}/nova_cell0.sqlite')
    assert schema.version(zero, 'cell') == schema.head('cell')


def test_other_rooms_bring_commands(nova):
    told = json.loads(nova('api', 'openapi'))
    assert told['openapi'] == '3.1.0' and '/servers' in told['paths']
    with pytest.raises(SystemExit):
        nova('api', 'nothing')
