"""Where servers are created: the API, a conductor that notes what it is asked for, Glance and Neutron."""

from kilonova.common.clients import keystone
from kilonova.tests.unit.api.fake_servers import FakeServers
from kilonova.tests.unit.api.fellows import FakeAdapter, FakeGlance, FakeNeutron
from kilonova.tests.unit.api.frontdoor import Door

UUID = '70a599e0-31e7-49b7-b260-868f441e862b'


class Cloud:
    """API, conductor, Glance and Neutron, with one image."""

    def __init__(self, monkeypatch):
        self.conductor, self.glance, self.neutron = FakeServers(), FakeGlance(), FakeNeutron()
        self.image = self.glance.add(id=UUID)
        services = {'glance': self.glance, 'neutron': self.neutron}
        monkeypatch.setattr(
            keystone, 'adapter', lambda conf, group, context=None: FakeAdapter(services[group])
        )
        self.door = Door.open(self.conductor).at('2.37')

    def body(self, **server):
        values = {'name': 'vm', 'imageRef': self.image, 'flavorRef': '1', 'networks': 'none'}
        return {'server': {k: v for k, v in {**values, **server}.items() if v is not ...}}

    def create(self, version='2.37', user='demo', **server):
        """Create, and return what the conductor was asked for."""
        client = self.door.at(version).as_user(user)
        answer = client.ok('POST', '/servers', self.body(**server), 202)
        assert answer['server']['id'] in self.conductor.servers
        return self.asked()

    def asked(self):
        name, request = self.conductor.calls[-1]
        assert name == 'create_servers'
        return request

    def refused(self, version='2.37', user='demo', **server):
        status = (
            self.door.at(version).as_user(user).refused('POST', '/servers', self.body(**server))
        )
        assert 'create_servers' not in self.conductor.names()
        return status

    def fault(self, version='2.37', **server):
        response = self.door.at(version).request('POST', '/servers', self.body(**server))
        assert response.status_int == 400
        return response.json['badRequest']['message']
