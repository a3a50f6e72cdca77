"""Flavors, their extra specs and access."""

import threading

import pytest

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.flavor import Flavor
from kilonova.conductor.flavors import Flavors
from kilonova.db import engine

CTX = RequestContext(project_id='mine', user_id='me', overwrite=False)


@pytest.fixture
def flavors(api_db):
    return Flavors(api_db)


def make(flavors, name='m1', **fields):
    values = {'flavorid': name, 'name': name, 'memory_mb': 512, 'vcpus': 1, **fields}
    return flavors.create_flavor(CTX, Flavor(**values))


def test_create_and_get(flavors):
    made = make(
        flavors, 'big', root_gb=20, swap=64, rxtx_factor=1.5, extra_specs={'a:b': 'c'},
        is_public=False, projects=['p2', 'p1'], description='für alle',
    )  # fmt: skip
    found = flavors.get_flavor(CTX, 'big')
    assert found == made
    assert found.extra_specs == {'a:b': 'c'}
    assert found.projects == ['p1', 'p2']
    assert found.rxtx_factor == 1.5
    assert found.id and found.created_at and found.updated_at is None


def test_empty_id_becomes_a_uuid(flavors):
    assert len(make(flavors, flavorid='', name='x').flavorid) == 36


def test_names_and_ids_are_unique(flavors):
    make(flavors, 'one')
    with pytest.raises(exception.FlavorIdExists, match='Flavor with ID one already exists'):
        make(flavors, flavorid='one', name='other')
    with pytest.raises(exception.FlavorExists, match='Flavor with name one already exists'):
        make(flavors, flavorid='other', name='one')
    assert [flavor.name for flavor in flavors.list_flavors(CTX, None)] == ['one']


def test_of_two_at_once_one_wins(flavors):
    results = []

    def create(number):
        try:
            results.append(make(flavors, flavorid=str(number), name='same').name)
        except exception.FlavorExists:
            results.append('refused')

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ['refused'] * 3 + ['same']


def test_who_sees_what(flavors):
    make(flavors, 'public')
    make(flavors, 'mine', is_public=False, projects=['mine'])
    make(flavors, 'theirs', is_public=False, projects=['other'])

    def names(is_public, project_id=None):
        return [f.name for f in flavors.list_flavors(CTX, is_public, project_id)]

    assert names(None) == ['mine', 'public', 'theirs']
    assert names(True) == ['public']
    assert names(False) == ['mine', 'theirs']
    assert names(True, 'mine') == ['mine', 'public']
    assert names(None, 'mine') == ['mine', 'public']
    assert flavors.get_flavor(CTX, 'mine', any_project=False).name == 'mine'
    with pytest.raises(exception.FlavorNotFound):
        flavors.get_flavor(CTX, 'theirs', any_project=False)
    with pytest.raises(exception.FlavorNotFound, match='Flavor nothing could not be found'):
        flavors.get_flavor(CTX, 'nothing')


def test_list_sorts_pages_and_filters(flavors):
    for number, (name, ram) in enumerate([('a', 512), ('b', 2048), ('c', 512), ('d', 1024)]):
        make(flavors, name, flavorid=f'id{number}', memory_mb=ram, root_gb=number)

    def names(**query):
        return ''.join(f.name for f in flavors.list_flavors(CTX, None, **query))

    assert names() == 'abcd'
    assert names(sort_key='memory_mb') == 'acdb'
    assert names(sort_key='memory_mb', sort_dir='desc') == 'bdca'
    assert names(sort_key='memory_mb', limit=2) == 'ac'
    assert names(sort_key='memory_mb', limit=2, marker='id2') == 'db'
    assert names(sort_key='memory_mb', sort_dir='desc', marker='id2') == 'a'
    assert names(min_ram=1024) == 'bd'
    assert names(min_disk=2, min_ram=1000) == 'd'
    with pytest.raises(exception.MarkerNotFound, match='Marker no could not be found'):
        names(marker='no')
    with pytest.raises(exception.InvalidInput):
        names(sort_key='specs')


def test_sort_by_what_may_be_empty(flavors):
    for name, description in (('a', None), ('b', 'z'), ('c', None), ('d', 'y')):
        make(flavors, name, description=description)
    for direction, expected in (('asc', 'acdb'), ('desc', 'bdca')):
        seen, marker = '', None
        for _ in range(4):
            found = flavors.list_flavors(
                CTX, None, sort_key='description', sort_dir=direction, limit=1, marker=marker
            )
            marker = found[0].flavorid
            seen += marker
        assert seen == expected


def test_extra_specs(flavors):
    make(flavors, 'x', extra_specs={'a': '1'})
    flavors.set_flavor_extra_specs(CTX, 'x', {'a': '2', 'b': '3'})
    assert flavors.get_flavor(CTX, 'x').extra_specs == {'a': '2', 'b': '3'}
    flavors.delete_flavor_extra_spec(CTX, 'x', 'a')
    assert flavors.get_flavor(CTX, 'x').extra_specs == {'b': '3'}
    with pytest.raises(exception.FlavorExtraSpecsNotFound):
        flavors.delete_flavor_extra_spec(CTX, 'x', 'a')
    with pytest.raises(exception.FlavorNotFound):
        flavors.set_flavor_extra_specs(CTX, 'y', {'a': '1'})


def test_access(flavors):
    make(flavors, 'private', is_public=False)
    make(flavors, 'public')
    assert flavors.add_flavor_access(CTX, 'private', 'p2') == ['p2']
    assert flavors.add_flavor_access(CTX, 'private', 'p1') == ['p1', 'p2']
    with pytest.raises(exception.FlavorAccessExists):
        flavors.add_flavor_access(CTX, 'private', 'p1')
    with pytest.raises(exception.Conflict, match='public flavor'):
        flavors.add_flavor_access(CTX, 'public', 'p1')
    assert flavors.remove_flavor_access(CTX, 'private', 'p2') == ['p1']
    with pytest.raises(exception.FlavorAccessNotFound):
        flavors.remove_flavor_access(CTX, 'private', 'p2')


def test_update_and_delete(flavors):
    make(flavors, 'x', extra_specs={'a': '1'}, is_public=False, projects=['p'])
    updated = flavors.update_flavor(CTX, 'x', 'new')
    assert (updated.description, updated.updated_at is None) == ('new', False)
    flavors.delete_flavor(CTX, 'x')
    with pytest.raises(exception.FlavorNotFound):
        flavors.delete_flavor(CTX, 'x')
    assert make(flavors, 'x').extra_specs == {}  # nothing of the old one comes back


def test_list_costs_three_statements_whatever_its_length(flavors):
    for number in range(20):
        make(flavors, f'f{number}', extra_specs={'a': '1'}, is_public=False, projects=['p'])
    with engine.count_statements() as statements:
        assert len(flavors.list_flavors(CTX, None)) == 20
    assert len(statements) == 3, statements
