"""Filters that go by the aggregates of hosts, and counts."""

import pytest

from kilonova.scheduler.filters import (
    aggregates,
    counts,
)
from kilonova.tests.unit.scheduler import builders
from kilonova.tests.unit.scheduler.builders import (
    make_aggregate,
    make_conf,
    make_host,
    make_spec,
    reason,
    survivors,
)

CONF = make_conf()


SSD = make_aggregate(
    'ssd', ssd='true', instance_type='small, big', filter_tenant_id='other, ' + builders.PROJECT
)
HDD = make_aggregate('hdd', ssd='false', instance_type='huge', filter_tenant_id2='other')


@pytest.mark.parametrize(
    ('extra_specs', 'expected'),
    [
        ({}, ['ssd', 'hdd', 'none', 'both']),
        ({'aggregate_instance_extra_specs:ssd': 'true'}, ['ssd', 'both']),
        ({'ssd': '<or> true <or> false'}, ['ssd', 'hdd', 'both']),
        ({'ssd': 'true', 'missing': 'x'}, []),
        ({'hw:cpu_policy': 'shared', 'group_policy': 'none'}, ['ssd', 'hdd', 'none', 'both']),
    ],
)
def test_aggregate_instance_extra_specs(extra_specs, expected):
    one = aggregates.AggregateInstanceExtraSpecsFilter(CONF)
    assert survivors(one, in_aggregates(), make_spec(extra_specs=extra_specs)) == expected


def in_aggregates():
    return [
        make_host('ssd', aggregates=[SSD]),
        make_host('hdd', aggregates=[HDD]),
        make_host('none'),
        make_host('both', aggregates=[SSD, HDD]),
    ]


def test_aggregate_type_affinity():
    one = aggregates.AggregateTypeAffinityFilter(CONF)
    assert survivors(one, in_aggregates(), make_spec()) == ['ssd', 'none', 'both']
    assert survivors(one, [make_host('plain')], make_spec()) == ['plain']


def test_aggregate_multi_tenancy():
    one = aggregates.AggregateMultiTenancyIsolation(CONF)
    assert survivors(one, in_aggregates(), make_spec()) == ['ssd', 'none', 'both']
    assert survivors(one, in_aggregates(), make_spec(project_id='third')) == ['none']
    assert survivors(one, [make_host('plain')], make_spec()) == ['plain']


def test_aggregate_image_properties():
    states = [
        make_host('linux', aggregates=[make_aggregate('linux', os_distro='debian,ubuntu')]),
        make_host('windows', aggregates=[make_aggregate('windows', os_distro='windows')]),
        make_host('none'),
    ]
    one = aggregates.AggregateImagePropertiesIsolation(CONF)
    assert survivors(one, states, make_spec(properties={'os_distro': 'ubuntu'})) == [
        'linux',
        'none',
    ]
    assert survivors(one, states, make_spec()) == ['linux', 'windows', 'none']
    conf = make_conf(filter_scheduler__aggregate_image_properties_isolation_namespace='os')
    one = aggregates.AggregateImagePropertiesIsolation(conf)
    assert survivors(one, states, make_spec(properties={'os_distro': 'ubuntu'})) == [
        'linux',
        'windows',
        'none',
    ]
    conf = make_conf(
        filter_scheduler__aggregate_image_properties_isolation_namespace='os',
        filter_scheduler__aggregate_image_properties_isolation_separator='_',
    )
    one = aggregates.AggregateImagePropertiesIsolation(conf)
    assert survivors(one, states, make_spec(properties={'os_distro': 'ubuntu'})) == [
        'linux',
        'none',
    ]


def test_counts():
    limits = make_aggregate('limits', max_io_ops_per_host='2', max_instances_per_host='2,9')
    odd = make_aggregate('odd', max_io_ops_per_host='many')
    states = [
        make_host('idle', aggregates=[odd]),
        make_host('busy', num_io_ops=8, num_instances=50),
        make_host('some', num_io_ops=3, num_instances=3),
        make_host('limited', num_io_ops=3, num_instances=3, aggregates=[limits]),
    ]
    for name, expected in (
        ('IoOpsFilter', ['idle', 'some', 'limited']),
        ('AggregateIoOpsFilter', ['idle', 'some']),
        ('NumInstancesFilter', ['idle', 'some', 'limited']),
        ('AggregateNumInstancesFilter', ['idle', 'some']),
    ):
        assert survivors(getattr(counts, name)(CONF), states, make_spec()) == expected
    assert reason(counts.IoOpsFilter(CONF), states[1], make_spec()) == 'with 8 heavy operations'
    assert reason(counts.NumInstancesFilter(CONF), states[1], make_spec()) == 'with 50 servers'
