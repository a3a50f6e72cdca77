"""Vendor data: the operator's file, and services that are asked about each server."""

import json
import time

import pytest

from kilonova.common import exception
from kilonova.common.metadata import tree
from kilonova.common.metadata.vendordata import VendorData
from kilonova.tests.fakes.vendor import FakeVendor
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_servers import make_server


@pytest.fixture
def service():
    made = FakeVendor()
    yield made
    made.close()


def make(targets=(), providers=('StaticJSON', 'DynamicJSON'), **options):
    conf = make_conf()
    conf.set_override('vendordata_providers', list(providers), 'api')
    conf.set_override('vendordata_dynamic_targets', list(targets), 'api')
    for name, value in options.items():
        conf.set_override(name, value, 'api')
    return VendorData(conf)


SERVER = make_server(
    1,
    metadata={'tier': '1'},
    user_data='aGk=',
    hostname='web-1',
    system_metadata={'boot_roles': 'member,reader'},
)


def test_what_a_service_is_told_and_says(service):
    made = make([f'roles@{service.url}/by?x=a@b'])
    assert made.of(SERVER) == {'static': {}, 'roles': {'role': 'web'}}
    ((path, headers, told),) = service.told
    assert path == '/by?x=a@b'
    assert told == {
        'project-id': 'demo',
        'instance-id': SERVER.uuid,
        'image-id': SERVER.image.id,
        'user-data': 'aGk=',
        'hostname': 'web-1',
        'metadata': {'tier': '1'},
        'boot-roles': 'member,reader',
    }
    assert headers['Content-Type'] == 'application/json'
    assert headers['User-Agent'].startswith('openstack-nova-vendordata')
    assert 'X-Auth-Token' not in headers


def test_the_services_own_identity_is_shown(service, monkeypatch):
    conf = make_conf()
    conf.set_override('vendordata_providers', ['DynamicJSON'], 'api')
    conf.set_override('vendordata_dynamic_targets', [f'a@{service.url}'], 'api')
    conf.set_override('auth_type', 'admin_token', 'vendordata_dynamic_auth')
    from keystoneauth1 import loading as ks

    loader = ks.get_plugin_loader('admin_token')
    conf.register_opts(ks.get_auth_plugin_conf_options(loader), 'vendordata_dynamic_auth')
    conf.set_override('endpoint', service.url, 'vendordata_dynamic_auth')
    conf.set_override('token', 's3cret', 'vendordata_dynamic_auth')
    assert VendorData(conf).of(SERVER) == {'a': {'role': 'web'}}
    assert service.told[0][1]['X-Auth-Token'] == 's3cret'


@pytest.mark.parametrize(
    ('status', 'content'),
    [(500, b'{}'), (404, b'no'), (200, b'<html>'), (200, b'{"unfinished'), (401, b'{}')],
)
@pytest.mark.parametrize('is_fatal', [True, False])
def test_a_service_that_fails(service, status, content, is_fatal):
    service.status, service.content = status, content
    made = make([f'a@{service.url}'], vendordata_dynamic_failure_fatal=is_fatal)
    if is_fatal:
        with pytest.raises(exception.VendorDataFailed, match='Vendor data a cannot be had'):
            made.of(SERVER)
    else:
        assert made.of(SERVER) == {'static': {}, 'a': {}}


def test_nothing_to_say_is_no_failure(service):
    service.content = b''
    made = make([f'a@{service.url}'], vendordata_dynamic_failure_fatal=True)
    assert made.of(SERVER)['a'] == {}


def test_a_slow_service_has_a_limit(service):
    service.pause = 3
    made = make([f'a@{service.url}'], vendordata_dynamic_read_timeout=1)
    started = time.monotonic()
    assert made.of(SERVER)['a'] == {}
    assert time.monotonic() - started < 3


def test_one_service_does_not_spoil_the_others(service):
    made = make(['gone@http://127.0.0.1:1/', f'there@{service.url}'])
    assert made.of(SERVER) == {'static': {}, 'gone': {}, 'there': {'role': 'web'}}


@pytest.mark.parametrize(
    'target', ['nonsense', '@http://127.0.0.1:1/', 'name@', 'static@http://x/']
)
def test_targets_that_are_none(target):
    assert make([target]).of(SERVER) == {'static': {}}


def test_targets_count_with_their_provider_alone(service):
    assert make([f'a@{service.url}'], ['StaticJSON']).of(SERVER) == {'static': {}}
    assert make([f'a@{service.url}'], ['DynamicJSON']).of(SERVER) == {'a': {'role': 'web'}}
    assert len(service.told) == 1


def test_a_tree_asks_once(service):
    made = tree.Tree(SERVER, tree.Options(vendor_data=make([f'a@{service.url}'])))
    for version in ('2016-10-06', 'latest'):
        found = made.lookup(f'openstack/{version}/vendor_data2.json')
        assert found and json.loads(found[1]) == {'static': {}, 'a': {'role': 'web'}}
    made.lookup('openstack/latest/meta_data.json')
    assert len(service.told) == 1
    assert 'openstack/latest/vendor_data2.json' in made.files()


@pytest.mark.parametrize('content', [None, '{', '[]'])
def test_a_file_that_cannot_be_read_is_left_out(tmp_path, content):
    path = tmp_path / 'vendor.json'
    if content is not None:
        path.write_text(content)
    assert make(vendordata_jsonfile_path=str(path)).static == {}
    path.write_text('{"a": 1}')
    assert make(vendordata_jsonfile_path=str(path)).static == {'a': 1}
