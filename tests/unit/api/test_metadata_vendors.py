"""Vendors' services are asked once about a server, whichever process of the metadata API it asks."""

import threading

import pytest

from kilonova.api.metadata import app, remembered
from kilonova.tests.fakes.vendor import FakeVendor
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server
from kilonova.tests.unit.api.test_metadata_remembered import ask, sent

PATH = '/openstack/latest/vendor_data2.json'


@pytest.fixture
def vendor():
    made = FakeVendor()
    yield made
    made.close()


class Processes:
    """Two applications that share files."""

    def __init__(self, tmp_path, vendor, *servers, **options):
        conf = make_conf()
        conf.set_override('service_metadata_proxy', True, 'neutron')
        conf.set_override('metadata_proxy_shared_secret', 'shared', 'neutron')
        conf.set_override('vendordata_providers', ['StaticJSON', 'DynamicJSON'], 'api')
        conf.set_override('vendordata_dynamic_targets', [f'a@{vendor.url}'], 'api')
        for name, value in options.items():
            conf.set_override(name, value, 'api')
        self.fake = FakeServers(*servers)
        self.apps = [
            app.MetadataApp(conf, self.fake, known=remembered.Files(str(tmp_path / 'kept'), 60))
            for _ in range(2)
        ]


def test_once_whoever_is_asked_and_from_wherever(tmp_path, vendor):
    servers = [make_server(number) for number in range(1, 6)]
    both = Processes(tmp_path, vendor, *servers)
    for server in servers:
        for number in range(8):
            response = sent(both.apps[number % 2], server, PATH, address=f'10.0.0.{number // 2}')
            assert response.json == {'static': {}, 'a': {'role': 'web'}}
    assert [told['instance-id'] for _, _, told in vendor.told] == [one.uuid for one in servers]


def test_once_by_all_that_ask_at_the_same_time(tmp_path, vendor):
    vendor.pause = 0.3
    server = make_server(1)
    both = Processes(tmp_path, vendor, server)
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(ask(both.apps[n % 2], server, PATH)))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == ['{"static":{},"a":{"role":"web"}}'] * 6
    assert len(vendor.told) == 1


def test_a_failure_is_remembered_where_it_is_an_answer(tmp_path, vendor):
    vendor.status = 503
    server = make_server(1)
    both = Processes(tmp_path, vendor, server)
    for number in range(4):
        assert sent(both.apps[number % 2], server, PATH).json == {'static': {}, 'a': {}}
    assert len(vendor.told) == 1


def test_a_failure_that_is_fatal_is_tried_again(tmp_path, vendor, caplog):
    vendor.status = 503
    server = make_server(1)
    both = Processes(tmp_path, vendor, server, vendordata_dynamic_failure_fatal=True)
    assert [sent(one, server, PATH).status_int for one in both.apps] == [500, 500]
    assert sent(both.apps[0], server, '/openstack/latest/meta_data.json').status_int == 200
    assert len(vendor.told) == 2 and 'Traceback' not in caplog.text
    vendor.status = 200
    assert [sent(one, server, PATH).json['a'] for one in both.apps] == [{'role': 'web'}] * 2
    assert len(vendor.told) == 3


def test_what_has_changed_is_asked_for_anew(tmp_path, vendor):
    server = make_server(1)
    both = Processes(tmp_path, vendor, server)
    ask(both.apps[0], server, PATH)
    both.fake.servers[server.uuid].metadata = {'tier': '2'}
    # A password that the guest stores makes what is known of it be looked up again.
    ask(both.apps[0], server, '/openstack/latest/password', 'POST', b'secret')
    ask(both.apps[1], server, PATH)
    assert [told['metadata'] for _, _, told in vendor.told] == [{}, {'tier': '2'}]
