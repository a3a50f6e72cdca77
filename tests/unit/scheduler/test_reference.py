"""Every filter, weigher and prefilter of Nova's table, with what it reads."""

import importlib
import pathlib
import re
from typing import Any

import pytest

from kilonova.scheduler import loader
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts
from kilonova.scheduler.weights.base import Weigher
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.scheduler.builders import make_aggregate, make_conf, make_host

ROWS = reference.table('scheduler.csv')
CONF = make_conf(filter_scheduler__enabled_filters=[])


def rows(kind: str) -> list[Any]:
    return [pytest.param(row, id=row['name']) for row in ROWS if row['kind'] == kind]


def filter_of(name: str) -> Filter:
    [found] = loader.load_filters(make_conf(filter_scheduler__enabled_filters=[name]))
    return found


def weigher_of(name: str, **options: Any) -> Weigher:
    path = 'nova.scheduler.weights.all_weighers'
    conf = make_conf(filter_scheduler__weight_classes=[path], **options)
    [found] = [one for one in loader.load_weighers(conf) if type(one).__name__ == name]
    return found


@pytest.mark.parametrize('row', rows('filter'))
def test_filter(row: dict[str, str]) -> None:
    found = filter_of(row['name'])
    assert found.once == (row['once_per_request'] == 'y')
    assert found.on_rebuild == (row['runs_on_rebuild'] == 'y')
    names = make_conf().filter_scheduler.enabled_filters
    place = names.index(row['name']) + 1 if row['name'] in names else ''
    assert str(place) == row['order']


@pytest.mark.parametrize('row', rows('weigher'))
def test_weigher(row: dict[str, str]) -> None:
    """Its multiplier is the option's, and an aggregate's when that says another."""
    found, key = weigher_of(row['name']), row['aggregate_metadata_keys']
    assert found.default() == float(row['default_multiplier'])
    assert key == found.option
    plain = Hosts([make_host('a')])
    sign = -1.0 if row['name'] == 'BuildFailureWeigher' else 1.0  # it counts against a host
    assert found.multiplier(plain) == sign * float(row['default_multiplier'])
    other = Hosts(
        [make_host('a'), make_host('b', aggregates=[make_aggregate('x', **{key: '7.5'})])]
    )
    numbers = found.multiplier(other)
    assert not isinstance(numbers, float)
    assert numbers.tolist() == [sign * float(row['default_multiplier']), sign * 7.5]


OPTIONS = sorted({option for row in ROWS for option in row['options'].split()})


BY_NAME = '_weight_multiplier'
"""What test_choices.test_a_multiplier_and_its_opposite adds to the names that it goes through."""


@pytest.mark.parametrize('option', OPTIONS)
def test_option(option: str) -> None:
    """It is there, and a test here gives it another value."""
    group, name = option.split('.')
    assert name in CONF[group]
    own = pathlib.Path(__file__)
    texts = [one.read_text() for one in own.parent.glob('test_*.py') if one != own]
    short = name.removesuffix(BY_NAME)
    assert any(
        name in text or (name.endswith(BY_NAME) and f"('{short}', " in text) for text in texts
    )


KEY = re.compile(r'[a-z][a-z_]*[a-z](?::[a-z_*]+)?')
PROSE = set('any image property name namespace limited by option compared with aggregate metadata of the '
            'same and unscoped keys as requests properties named in id'.split())  # fmt: skip
COLUMNS = ('aggregate_metadata_keys', 'extra_specs', 'image_properties', 'scheduler_hints')
KEYS = sorted(
    {
        key.rstrip('*')
        for row in ROWS
        for column in COLUMNS
        for key in KEY.findall(row[column])
        if key not in PROSE and not key.endswith('_weight_multiplier')
    }
)


@pytest.mark.parametrize('key', KEYS)
def test_key(key: str) -> None:
    """Extra specs, image properties, aggregate metadata and hints: some test here gives each."""
    own = pathlib.Path(__file__)
    assert any(key in one.read_text() for one in own.parent.glob('test_*.py') if one != own)


EFFECTS = {
    'DifferentHostFilter': 'test_filters.test_affinity',
    'SameHostFilter': 'test_filters.test_affinity',
    'ServerGroupAffinityFilter': 'test_filters.test_server_group',
    'ServerGroupAntiAffinityFilter': 'test_filters.test_server_group',
    'SimpleCIDRAffinityFilter': 'test_filters.test_affinity',
    'AggregateImagePropertiesIsolation': 'test_aggregate_filters.test_aggregate_image_properties',
    'AggregateInstanceExtraSpecsFilter': 'test_aggregate_filters.test_aggregate_instance_extra_specs',
    'AggregateMultiTenancyIsolation': 'test_aggregate_filters.test_aggregate_multi_tenancy',
    'AllHostsFilter': 'test_filters.test_all_hosts',
    'ComputeCapabilitiesFilter': 'test_filters.test_capabilities',
    'ComputeFilter': 'test_filters.test_compute',
    'ImagePropertiesFilter': 'test_filters.test_image_properties',
    'AggregateIoOpsFilter': 'test_aggregate_filters.test_counts',
    'IoOpsFilter': 'test_aggregate_filters.test_counts',
    'IsolatedHostsFilter': 'test_filters.test_isolated_hosts',
    'JsonFilter': 'test_filters.test_json',
    'MetricsFilter': 'test_filters.test_metrics',
    'AggregateNumInstancesFilter': 'test_aggregate_filters.test_counts',
    'NumInstancesFilter': 'test_aggregate_filters.test_counts',
    'NUMATopologyFilter': 'test_filters.test_numa',
    'PciPassthroughFilter': 'test_filters.test_pci',
    'AggregateTypeAffinityFilter': 'test_aggregate_filters.test_aggregate_type_affinity',
    'ServerGroupSoftAffinityWeigher': 'test_weights.test_server_group',
    'ServerGroupSoftAntiAffinityWeigher': 'test_weights.test_server_group',
    'BuildFailureWeigher': 'test_choices.test_failed_builds',
    'CPUWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'CrossCellWeigher': 'test_choices.test_a_move_stays_in_its_cell_whatever_its_multiplier',
    'DiskWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'HypervisorVersionWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'ImagePropertiesWeigher': 'test_weights.test_image_properties',
    'IoOpsWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'MetricsWeigher': 'test_choices.test_hosts_without_a_metric',
    'NumInstancesWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'PCIWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'RAMWeigher': 'test_choices.test_a_multiplier_and_its_opposite',
    'require_tenant_aggregate': 'test_destination.test_tenants_of_aggregates',
    'map_az_to_placement_aggregate': 'test_destination.test_availability_zones',
    'require_image_type_support': 'test_destination.test_image_type_and_models',
    'compute_status_filter': 'test_destination.test_disabled_by_trait',
    'isolate_aggregates': 'test_destination.test_isolated_aggregates',
    'transform_image_metadata': 'test_destination.test_image_type_and_models',
    'accelerators_filter': 'test_request.test_translated_traits',
    'packed_virtqueue_filter': 'test_request.test_translated_traits',
    'routed_networks_filter': 'test_routed_networks.test_a_host_in_the_segment_of_the_port_is_taken',
    'remote_managed_ports_filter': 'test_request.test_remote_managed_ports',
    'ephemeral_encryption_filter': 'test_request.test_translated_traits',
    'virtio_sound_filter': 'test_request.test_translated_traits',
    'tpm_secret_security_filter': 'test_request.test_translated_traits',
    'owner_nova_filter': 'test_select.test_providers_of_others_are_left_alone',
}
"""What shows what each row does to the choice of hosts."""


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['name'])
def test_effect(row: dict[str, str]) -> None:
    """The test that is named is there."""
    module, test = EFFECTS[row['name']].split('.')
    path = f'kilonova.tests.unit.scheduler.{module}'
    assert callable(getattr(importlib.import_module(path), test))


@reference.needed
def test_no_effect_is_of_something_else() -> None:
    assert sorted(EFFECTS) == sorted(row['name'] for row in ROWS)
