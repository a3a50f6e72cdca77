"""Names in nova.conf."""

import pytest

from kilonova.common import exception
from kilonova.scheduler import loader
from kilonova.scheduler.filters.base import PerHost
from kilonova.tests.unit.scheduler.builders import make_conf, make_host, make_spec, new, survivors

HERE = __name__


class OnlyOnEven:
    """An operator's filter, written for one host and without our base class."""

    def host_passes(self, host_state, spec_obj):
        return int(host_state.service.host[-1]) % 2 == 0


def filters(**options):
    conf = make_conf(**{f'filter_scheduler__{name}': value for name, value in options.items()})
    return loader.load_filters(conf)


def test_defaults():
    assert [one.name for one in filters()] == [
        'ComputeFilter',
        'ComputeCapabilitiesFilter',
        'ImagePropertiesFilter',
        'ServerGroupAntiAffinityFilter',
        'ServerGroupAffinityFilter',
    ]


def test_every_filter_of_nova_that_reads_no_numa_or_pci_pool_is_there():
    names = (
        'AggregateImagePropertiesIsolation AggregateInstanceExtraSpecsFilter AggregateIoOpsFilter '
        'AggregateMultiTenancyIsolation AggregateNumInstancesFilter AggregateTypeAffinityFilter '
        'AllHostsFilter ComputeCapabilitiesFilter ComputeFilter DifferentHostFilter '
        'ImagePropertiesFilter IoOpsFilter IsolatedHostsFilter JsonFilter MetricsFilter '
        'NUMATopologyFilter NumInstancesFilter PciPassthroughFilter SameHostFilter '
        'ServerGroupAffinityFilter ServerGroupAntiAffinityFilter SimpleCIDRAffinityFilter'
    ).split()
    assert [one.name for one in filters(enabled_filters=names)] == names


def test_own_filter_by_class_path_runs_last():
    found = filters(
        available_filters=['nova.scheduler.filters.all_filters', f'{HERE}.OnlyOnEven'],
        enabled_filters=['OnlyOnEven', 'ComputeFilter'],
    )
    assert [one.name for one in found] == ['ComputeFilter', 'OnlyOnEven']
    assert isinstance(found[1], PerHost)
    assert survivors(found[1], [make_host('h1'), make_host('h2')], make_spec()) == ['h2']


@pytest.mark.parametrize(
    'path',
    [
        'nova.scheduler.filters.compute_filter.ComputeFilter',
        'kilonova.scheduler.filters.compute.ComputeFilter',
    ],
)
def test_one_of_ours_by_class_path(path):
    found = filters(available_filters=[path], enabled_filters=['ComputeFilter'])
    assert [one.name for one in found] == ['ComputeFilter']


@pytest.mark.parametrize(
    'options',
    [
        {'enabled_filters': ['RamFilter']},
        {'available_filters': ['no.such.module.Filter']},
        {'available_filters': ['nova.scheduler.filters.ram_filter.RamFilter']},
        {'available_filters': [f'{HERE}.make_host'], 'enabled_filters': []},
    ],
)
def test_unknown_names_are_refused(options):
    with pytest.raises(exception.InvalidInput):
        filters(**options)


def weighers(*paths):
    found = loader.load_weighers(make_conf(filter_scheduler__weight_classes=list(paths)))
    return [type(one).__name__ for one in found]


def test_weighers():
    everything = weighers('nova.scheduler.weights.all_weighers')
    assert len(everything) == 14 and 'RAMWeigher' in everything
    assert weighers('nova.scheduler.weights.ram.RAMWeigher') == ['RAMWeigher']
    with pytest.raises(exception.InvalidInput):
        weighers('nova.scheduler.weights.image_props.OtherWeigher')


OPERATORS = '''
import numpy as np
from kilonova.scheduler.filters.base import Filter, HostFilter
from kilonova.scheduler.weights.base import Weigher


class EvenArray(Filter):
    """Written for all hosts at once."""

    def passes(self, hosts, alive, spec):
        return np.array([int(hosts.states[i].service.host[-1]) % 2 == 0 for i in alive])


class NotTwo(HostFilter):
    """Written for one host."""

    def host_passes(self, host, spec):
        return host.service.host != 'h2'


class LastName(Weigher):
    option = 'ram_weight_multiplier'

    def weigh(self, hosts, alive, spec):
        return np.array([float(hosts.states[i].service.host[-1]) for i in alive])
'''
ENTRY_POINTS = """
[kilonova.scheduler.filters]
Even = operators_own:EvenArray
NotTwo = operators_own:NotTwo

[kilonova.scheduler.weights]
last = operators_own:LastName
"""


def test_what_an_operator_has_installed(cloud, tmp_path, monkeypatch):
    """A distribution with entry points, as pip leaves it: they are found, enabled by name, and decide."""
    about = tmp_path / 'operators_own-1.0.dist-info'
    about.mkdir()
    (tmp_path / 'operators_own.py').write_text(OPERATORS)
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: operators-own\nVersion: 1.0\n')
    (about / 'entry_points.txt').write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for n in range(6):
        cloud.add(f'h{n}')
    options = {'filter_scheduler__weight_classes': ['last']}

    def chosen(*names):
        enabled = {'filter_scheduler__enabled_filters': list(names)}
        selector = cloud.selector(**options, **enabled)
        [[claimed, *others]] = selector.select(make_spec(), new(), 1, alternates=9)
        return [claimed.host, *(one.host for one in others)]

    assert chosen('ComputeFilter') == ['h5', 'h4', 'h3', 'h2', 'h1', 'h0']
    assert chosen('Even') == ['h4', 'h2', 'h0']
    assert chosen('NotTwo', 'Even') == ['h4', 'h0']
    with pytest.raises(
        exception.NoValidHost, match='EvenArray: 1 of 1 host left out: 1 refused by the'
    ):
        cloud.selector(filter_scheduler__enabled_filters=['Even']).select(
            make_spec(requested_host='h1'), new(), 1
        )
