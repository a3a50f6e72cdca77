"""Filters, order and pages of server lists, on every database."""

import datetime
import itertools
import uuid

import pytest

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF, FixedIP
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server, ServerQuery
from kilonova.db import server_list, servers
from kilonova.db.engine import count_statements
from kilonova.tests.unit.statements import sql

START = datetime.datetime(2026, 1, 1, 12)
FLAVOR = Flavor(flavorid='1', name='m1', memory_mb=512, vcpus=1)


def make(name, **values):
    defaults = {
        'uuid': str(uuid.uuid4()),
        'project_id': 'p',
        'user_id': 'u',
        'flavor': FLAVOR,
        'image': Image(id='image'),
        'vm_state': 'active',
        'created_at': START,
        'updated_at': START,
    }
    return Server(name=name, **(defaults | values))


@pytest.fixture
def stored(cell_db):
    def store(*found):
        with cell_db.transaction() as session:
            servers.add(session, found)
        return found

    return store


@pytest.fixture
def listed(cell_db):
    def names(sort_keys=('name',), sort_dirs=('asc',), limit=None, marker=None, **filters):
        query = ServerQuery(
            filters=filters,
            sort_keys=list(sort_keys),
            sort_dirs=list(sort_dirs),
            limit=limit,
            marker=marker,
        )
        with cell_db.reader() as session:
            return [server.name for server in server_list.find(session, query)]

    return names


def port(address, version=4):
    return VIF(
        id=str(uuid.uuid4()),
        address='fa:16:3e:00:00:01',
        network_id='n',
        fixed_ips=[FixedIP(address=address, version=version)],
    )


class TestReading:
    def test_a_record_comes_back_as_it_went(self, cell_db, stored):
        server = make(
            'all',
            metadata={'ключ': '"quoted"'},
            system_metadata={'a': 'b'},
            tags=['x', 'y'],
            network_info=[port('10.0.0.1')],
            security_groups=['default'],
            trusted_image_certificates=['c'],
            block_devices=[BlockDevice(uuid=str(uuid.uuid4()), boot_index=0, volume_id='v')],
            launched_at=START,
            user_data='A' * 65535,
            config_drive=True,
        )
        stored(server)
        with cell_db.reader() as session:
            found = servers.get(session, server.uuid)
        found.block_devices[0].id = 0
        assert found == server

    def test_a_thousand_in_two_statements(self, cell_db, stored):
        stored(*(make(f'web-{n}', tags=['a']) for n in range(1000)))
        with count_statements() as statements, cell_db.reader() as session:
            found = server_list.find(session, ServerQuery(limit=1000))
        assert len(found) == 1000
        assert all(server.tags == ['a'] for server in found)
        assert len(sql(statements)) == 2

    def test_short_form(self, cell_db, stored):
        [server] = stored(make('web', tags=['a']))
        with count_statements() as statements, cell_db.reader() as session:
            [found] = server_list.find(session, ServerQuery(detail=False))
        assert (found.uuid, found.name) == (server.uuid, 'web')
        assert len(sql(statements)) == 1

    def test_a_fence_that_is_old_changes_nothing(self, cell_db, stored):
        [server] = stored(make('web', operation='o', attempt=2))
        with cell_db.transaction() as session:
            assert not servers.update(session, server.uuid, Fence('o', 1), progress=5)
            assert not servers.update(session, server.uuid, Fence('x', 2), progress=5)
            assert not servers.update(session, server.uuid, idle=True, progress=5)
            assert servers.update(session, server.uuid, Fence('o', 2), progress=5)
            assert servers.get(session, server.uuid).progress == 5


class TestFilters:
    @pytest.mark.parametrize(
        'filters, names',
        [
            ({'project_id': 'p'}, ['a', 'b']),
            ({'user_id': 'u', 'project_id': 'q'}, ['c']),
            ({'host': 'h1'}, ['a']),
            ({'vm_state': ['stopped', 'error']}, ['b']),
            ({'task_state': [None]}, ['a', 'c']),
            ({'task_state': ['spawning', None]}, ['a', 'b', 'c']),
            ({'task_state': None}, ['a', 'c']),
            ({'power_state': '4'}, ['b']),
            ({'locked': 'True'}, ['b']),
            ({'locked': False}, ['a', 'c']),
            ({'image': 'other'}, ['c']),
            ({'flavor': '1'}, ['a', 'b', 'c']),
            ({'config_drive': '1'}, ['a']),
            ({'launched_at': '2026-01-01T12:00:00Z'}, ['a']),
            ({'name': '^[ab]$'}, ['a', 'b']),
            ({'description': 'x+y'}, ['b']),
            ({'ip': '10.0.0.1'}, ['a', 'b']),
            ({'ip': r'10\.0\.0\.1$'}, ['a']),
            ({'ip': '0.0'}, []),
            ({'ip': r'192\.'}, ['a']),
            ({'ip6': 'fd00'}, ['c']),
            ({'metadata': {'k': 'v'}}, ['a', 'b']),
            ({'metadata': {'k': 'v', 'l': 'w"'}}, ['b']),
            ({'metadata': [{'k': 'v'}, {'l': 'w"'}]}, ['b']),
            ({'metadata': {'k': 'V'}}, []),
            ({'metadata': {'x': 'k":"v'}}, ['c']),
            ({'tags': ['t1', 't2']}, ['a']),
            ({'tags_any': ['t1', 't2']}, ['a', 'b']),
            ({'not_tags': ['t1', 't2']}, ['b', 'c']),
            ({'not_tags_any': ['t1', 't2']}, ['c']),
            ({'reservation_id': 'r-1'}, ['c']),
        ],
    )
    def test_one(self, stored, listed, filters, names):
        stored(
            make(
                'a',
                host='h1',
                metadata={'k': 'v'},
                tags=['t1', 't2'],
                launched_at=START,
                config_drive=True,
                network_info=[port('10.0.0.1'), port('192.168.0.1')],
            ),
            make(
                'b',
                vm_state='stopped',
                task_state='spawning',
                power_state=4,
                locked=True,
                description='an xxy',
                metadata={'k': 'v', 'l': 'w"'},
                tags=['t1'],
                network_info=[port('10.0.0.10')],
            ),
            make(
                'c',
                project_id='q',
                reservation_id='r-1',
                image=Image(id='other'),
                metadata={'x': 'k":"v'},
                network_info=[port('fd00::1', 6)],
            ),
        )
        assert listed(**filters) == names

    @pytest.mark.parametrize(
        'filters, message',
        [
            ({'name': '['}, 'name'),
            ({'ip': '('}, 'ip'),
            ({'power_state': 'x'}, 'power_state'),
            ({'power_state': 10**12}, 'power_state'),
            ({'launched_at': 'yesterday'}, 'yesterday'),
            ({'metadata': 'x'}, 'metadata'),
            ({'nonsense': 'x'}, 'nonsense'),
        ],
    )
    def test_bad_values_are_named(self, stored, listed, filters, message):
        stored(make('a'))
        with pytest.raises(exception.InvalidInput, match=message):
            listed(**filters)

    def test_a_pattern_that_only_python_takes(self, stored, listed):
        stored(make('a'))
        try:
            assert listed(name='(?s:a)') == ['a']
        except exception.InvalidInput as error:
            assert 'regular expression' in str(error)

    def test_changes_and_deleted(self, cell_db, stored, listed):
        hour = datetime.timedelta(hours=1)
        old, new, gone = stored(
            make('old', updated_at=START - hour),
            make('new', updated_at=START + hour),
            make('gone', operation='o', attempt=1),
        )
        with cell_db.transaction() as session:
            assert servers.mark_deleted(session, gone.uuid, Fence('o', 1))
        since = (START - hour / 2).isoformat()
        assert listed() == ['new', 'old']
        assert listed(deleted=True) == ['gone']
        assert listed(deleted=None) == ['gone', 'new', 'old']
        assert listed(changes_since=since) == ['gone', 'new']
        assert listed(changes_since=since, deleted=False) == ['new']
        assert listed(changes_since=since, changes_before=START + 2 * hour) == ['new']


class TestPages:
    @pytest.mark.parametrize('direction', ['asc', 'desc'])
    @pytest.mark.parametrize(
        'key', ['display_name', 'host', 'launched_at', 'locked', 'power_state', 'created_at']
    )
    def test_every_server_comes_once(self, cell_db, stored, key, direction):
        found = stored(
            *(
                make(
                    name,
                    host=host,
                    launched_at=launched,
                    locked=bool(power % 2),
                    power_state=power,
                )
                for name, host, (launched, power) in itertools.product(
                    ['a', 'B', 'b'], ['h1', None], [(START, 1), (None, 4)]
                )
            )
        )
        seen = []
        marker = None
        with cell_db.reader() as session:
            while True:
                query = ServerQuery(sort_keys=[key], sort_dirs=[direction], limit=5, marker=marker)
                page = server_list.find(session, query)
                seen += page
                if len(page) < 5:
                    break
                marker = page[-1].uuid
        assert sorted(s.uuid for s in seen) == sorted(s.uuid for s in found)
        name = server_list.NAMES.get(key, key)
        values = [getattr(server, name) for server in seen]
        nulls = [value is None for value in values]
        assert nulls == sorted(nulls, reverse=direction == 'asc')
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=direction == 'desc')

    def test_a_marker_that_is_deleted_still_counts(self, cell_db, stored, listed):
        a, b, c = stored(make('a'), make('b', operation='o', attempt=1), make('c'))
        with cell_db.transaction() as session:
            servers.mark_deleted(session, b.uuid, Fence('o', 1))
        assert listed(marker=b.uuid) == ['c']

    def test_unknown_markers(self, stored, listed):
        [foreign] = stored(make('a', project_id='q'))
        with pytest.raises(exception.MarkerNotFound):
            listed(marker='x')
        with pytest.raises(exception.MarkerNotFound):
            listed(marker=foreign.uuid, project_id='p')

    def test_bad_keys(self, stored, listed):
        for keys, dirs in ((['user_data'], ['asc']), (['name'], ['up'])):
            with pytest.raises(exception.InvalidInput):
                listed(sort_keys=keys, sort_dirs=dirs)
