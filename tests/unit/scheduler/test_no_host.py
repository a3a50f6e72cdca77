"""What is said when no host is found, and that the scheduler goes on."""

import pytest

from kilonova.common import exception
from kilonova.tests.unit.scheduler.builders import (
    fail,
    make_aggregate,
    make_flavor,
    make_spec,
    new,
)


def test_no_host_at_all(cloud):
    assert (
        fail(cloud.selector(), make_spec()) == 'No valid host was found. There is no compute host.'
    )


def test_too_large(cloud):
    cloud.add('h1')
    assert fail(cloud.selector(), make_spec(make_flavor(vcpus=8))) == (
        'No valid host was found. Placement: none of 1 known hosts has what is asked for: '
        'DISK_GB 1 (1 host), MEMORY_MB 512 (1 host), VCPU 8 (no host)'
    )


def test_what_is_missing(cloud):
    cloud.add('h1', vcpus=16, traits=('COMPUTE_STATUS_DISABLED',))
    cloud.add('h2', vcpus=16, traits=('HW_CPU_X86_VMX', 'COMPUTE_STATUS_DISABLED'))
    cloud.add('h3', aggregates=[make_aggregate('z', availability_zone='north')])
    extra_specs = {'trait:HW_CPU_X86_VMX': 'required', 'trait:HW_CPU_X86_SVM': 'forbidden'}
    spec = make_spec(make_flavor(vcpus=8, extra_specs=extra_specs), availability_zone='north')
    selector = cloud.selector()
    assert fail(selector, spec).endswith(
        'DISK_GB 1 (3 hosts), MEMORY_MB 512 (3 hosts), VCPU 8 (2 hosts), trait HW_CPU_X86_VMX '
        '(1 host), no trait HW_CPU_X86_SVM (3 hosts), membership in the required aggregates '
        '(1 host), enabled (1 host)'
    )
    asked = cloud.service.count('GET', '/resource_providers')
    fail(selector, spec)
    assert cloud.service.count('GET', '/resource_providers') == asked


def test_what_is_missing_cannot_be_found_out(cloud):
    cloud.add('h1')
    cloud.service.intercept = lambda method, path: (
        (503, '', 'down') if path.startswith('/resource_providers') else None
    )
    assert fail(cloud.selector(), make_spec(make_flavor(vcpus=8))).endswith(
        'DISK_GB 1, MEMORY_MB 512, VCPU 8'
    )


def test_unknown_to_the_conductor(cloud):
    cloud.add('h1', known=False)
    text = fail(cloud.selector(), make_spec())
    assert 'Placement offers 1 providers that are no known hosts.' in text


def test_disabled_and_down(cloud):
    cloud.add('h1', service={'disabled': True})
    cloud.add('h2', service={'disabled': True})
    cloud.add('h3', service={'up': False})
    cloud.add('h4', vcpus=1)
    assert fail(cloud.selector(), make_spec(make_flavor(vcpus=2))) == (
        'No valid host was found. Placement: 1 of 4 hosts left out: 1 without DISK_GB 1, '
        'MEMORY_MB 512, VCPU 2; ComputeFilter: 3 of 3 hosts left out: 2 disabled, '
        '1 down since 2026-01-02 03:04'
    )


def test_several_filters(cloud):
    cloud.add('h1', service={'disabled': True})
    cloud.add('h2')
    text = fail(cloud.selector(), make_spec(properties={'hw_architecture': 'aarch64'}))
    assert 'ComputeFilter: 1 of 2 hosts left out: 1 disabled' in text
    assert 'ImagePropertiesFilter: 1 of 1 host left out: 1 unable to run aarch64 guests' in text


def test_unknown_trait(cloud):
    cloud.add('h1')
    text = fail(cloud.selector(), make_spec(extra_specs={'trait:CUSTOM_NOBODY': 'required'}))
    assert 'none of 1 known hosts' in text and 'trait CUSTOM_NOBODY (unknown to placement)' in text


def test_malformed_request(cloud):
    cloud.add('h1')
    text = fail(cloud.selector(), make_spec(extra_specs={'trait1:HW_CPU_X86_VMX': 'required'}))
    assert 'Placement answered 400' in text


def test_request_for_nothing(cloud):
    cloud.add('h1')
    extra_specs = {f'resources:{name}': '0' for name in ('VCPU', 'MEMORY_MB', 'DISK_GB')}
    assert 'asks for no resources' in fail(cloud.selector(), make_spec(extra_specs=extra_specs))


def test_placement_down(cloud):
    cloud.add('h1')
    selector = cloud.selector()
    cloud.service.intercept = lambda method, path: (503, '', 'down')
    with pytest.raises(exception.FellowServiceError, match='placement'):
        selector.select(make_spec(), new(), 1)


def test_placement_goes_down_between_two_claims(cloud):
    cloud.add('h1')
    selector, uuids = cloud.selector(), new(2)
    cloud.service.intercept = lambda method, path: (
        (503, '', 'down') if method == 'PUT' and uuids[1] in path else None
    )
    with pytest.raises(exception.FellowServiceError):
        selector.select(make_spec(), uuids, 1)
    assert cloud.held() == {}
    assert selector.cache.get(0).num_instances.tolist() == [0]
