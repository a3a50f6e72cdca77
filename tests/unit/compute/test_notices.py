"""What a host says of itself on the bus."""

import pytest
from oslo_config import cfg

from kilonova.common.context import RequestContext
from kilonova.common.notifications.hosts import LibvirtErrorPayload
from kilonova.common.notifications.notifier import Notifier
from kilonova.compute.monitors import values_of
from kilonova.compute.notices import Notices, Telling
from kilonova.compute.virt.driver import CpuStats
from kilonova.compute.virt.libvirt import connection
from kilonova.tests.fakes.libvirt import FakeLibvirt


@pytest.fixture
def notifier() -> Notifier:
    conf = cfg.ConfigOpts()
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    made = Notifier(conf)
    made.versioned = made.plain = True
    return made


def test_a_hypervisor_that_is_away(monkeypatch: pytest.MonkeyPatch, notifier: Notifier) -> None:
    library = FakeLibvirt()
    library.unreachable = True
    monkeypatch.setattr(connection, 'library', lambda: library)
    monkeypatch.setattr(connection._EventLoop, 'start', lambda: None)
    conn = connection.Connection('fake:///system')
    conn.on_failure = Notices('here', '192.0.2.1', notifier).hypervisor_away
    with pytest.raises(connection.HypervisorError):
        conn.call(lambda c: c.getType())
    versioned, plain = notifier._waiting
    assert (versioned.type, versioned.priority) == ('libvirt.connect.error', 'error')
    assert versioned.publisher == 'nova-compute:here'
    assert versioned.body['nova_object.name'] == LibvirtErrorPayload.__name__
    data = versioned.body['nova_object.data']
    reason = data['reason']['nova_object.data']
    assert data['ip'] == '192.0.2.1' and 'no socket' in reason['exception_message']
    assert (reason['exception'], reason['function_name']) == ('HypervisorError', '_raise_failure')
    assert (plain.type, plain.publisher) == ('compute.libvirt.error', 'compute.here')
    assert plain.priority == 'error' and 'no socket' in plain.body['reason']


def test_questions_that_fail_are_told_and_raised(notifier: Notifier) -> None:
    class Endpoint:
        def ask(self, context: RequestContext, number: int) -> int:
            return 1 // number

    told = Telling(Endpoint(), Notices('here', '', notifier))
    context = RequestContext(overwrite=False)
    assert told.ask(context, number=1) == 1 and not notifier._waiting
    assert not hasattr(told, 'other')
    with pytest.raises(ZeroDivisionError):
        told.ask(context, number=0)
    assert [one.type for one in notifier._waiting] == ['compute.exception', 'ask']


def test_without_a_notifier_nothing_is_said() -> None:
    Notices().hypervisor_away(ValueError('x'))


def test_shares_of_processors() -> None:
    before = CpuStats(user=10, kernel=10, idle=70, iowait=10, frequency=800)
    now = CpuStats(user=30, kernel=20, idle=130, iowait=20, frequency=900)
    found = values_of(now, before)
    assert found['cpu.user.percent'] == 0.2 and found['cpu.kernel.percent'] == 0.1
    assert found['cpu.idle.percent'] == 0.6 and found['cpu.iowait.percent'] == 0.1
    assert found['cpu.percent'] == pytest.approx(0.4)
    assert (found['cpu.frequency'], found['cpu.user.time']) == (900, 30)
    still = values_of(now, now)
    assert still['cpu.percent'] == still['cpu.idle.percent'] == 0.0
