"""What ``[upgrade_levels]`` says, and ``auto`` among it."""

import time

import pytest
from oslo_config import cfg

from kilonova.common import base_config, config, exception, service, version


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr(version, 'SERVICE_VERSION', 3)
    rows = {1: {'compute': '1.0'}, 3: {'compute': '1.2'}}
    monkeypatch.setattr(version, 'INTERFACES', rows)


@pytest.fixture
def conf():
    made = cfg.ConfigOpts()
    config.register(base_config.list_opts(), made)
    made([], default_config_files=[], default_config_dirs=[])
    return made


def test_the_table_has_this_version():
    assert version.SERVICE_VERSION in version.INTERFACES


@pytest.mark.parametrize(
    'number, wanted', ((0, '1.0'), (1, '1.0'), (2, '1.0'), (3, '1.2'), (9, '1.2'))
)
def test_interface_at(table, number, wanted):
    assert version.interface_at('compute', number) == wanted


def test_auto_follows_the_oldest(table, monkeypatch):
    running, clock = [2], [1000.0]
    asked = []
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])

    def lowest():
        asked.append(clock[0])
        return min(running)

    cap = version.LowestRunning('compute', lowest)
    assert [cap(), cap()] == ['1.0', '1.0']
    running[0] = 3
    assert cap() == '1.0'
    clock[0] += version.LowestRunning.AGAIN
    assert [cap(), cap()] == ['1.2', '1.2']
    clock[0] += version.LowestRunning.AGAIN
    assert cap() == '1.2'
    assert len(asked) == 2


def test_auto_without_receivers(table):
    assert version.LowestRunning('compute', lambda: None)() == '1.2'


@pytest.mark.parametrize('value', (None, ''))
def test_no_cap(conf, value):
    conf.set_override('compute', value, group='upgrade_levels')
    assert service.version_cap(conf, 'compute', lambda: 1) is None


def test_caps(conf):
    conf.set_override('compute', '1.0', group='upgrade_levels')
    assert service.version_cap(conf, 'compute', lambda: 1) == '1.0'
    conf.set_override('compute', 'auto', group='upgrade_levels')
    cap = service.version_cap(conf, 'compute', lambda: 1)
    assert callable(cap) and cap() == '1.0'
    conf.set_override('compute', 'newest', group='upgrade_levels')
    with pytest.raises(exception.KilonovaError, match='upgrade_levels.compute must be'):
        service.version_cap(conf, 'compute', lambda: 1)
