"""Where a request may go by its own words, and the prefilters, on the real placement."""

from kilonova.tests.unit.scheduler.builders import (
    PROJECT,
    fail,
    hosts_of,
    make_aggregate,
    make_spec,
    new,
)


def test_disabled_by_trait(cloud):
    cloud.add('h1', vcpus=8, traits=('COMPUTE_STATUS_DISABLED',))
    cloud.add('h2')
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h2']


def test_forced_host_is_not_filtered(cloud):
    cloud.add('h1', service={'up': False})
    cloud.add('h2')
    spec = make_spec(forced_host='h1')
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h1']


def test_requested_host_is_filtered(cloud):
    cloud.add('h1', service={'up': False})
    cloud.add('h2')
    text = fail(cloud.selector(), make_spec(requested_host='h1'))
    assert 'ComputeFilter: 1 of 1 host left out' in text
    spec = make_spec(requested_hypervisor_hostname='h2')
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h2']


def test_unknown_requested_host(cloud):
    cloud.add('h1')
    assert 'Host nowhere is not known.' in fail(cloud.selector(), make_spec(forced_host='nowhere'))


def test_ignored_hosts(cloud):
    cloud.add('h1', vcpus=8)
    cloud.add('h2')
    spec = make_spec(ignore_hosts=['h1'])
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h2']
    text = fail(cloud.selector(), make_spec(ignore_hosts=['h1', 'h2']))
    assert 'IgnoredHosts: 2 of 2 hosts left out: 2 tried before' in text


def test_availability_zones(cloud):
    north = make_aggregate('north', availability_zone='north')
    cloud.add('h1', aggregates=[north])
    cloud.add('h2', vcpus=8)
    selector = cloud.selector()
    [[selection]] = selector.select(make_spec(availability_zone='north'), new(), 1)
    assert (selection.host, selection.availability_zone) == ('h1', 'north')
    assert f'member_of=in:{north.uuid}' in cloud.service.requests[-2][1]
    [[selection]] = selector.select(make_spec(availability_zone='nova'), new(), 1)
    assert selection.host == 'h2'
    text = fail(selector, make_spec(availability_zone='south'))
    assert 'Availability zone south has no hosts.' in text


def test_tenants_of_aggregates(cloud):
    ours = make_aggregate('ours', filter_tenant_id3=PROJECT)
    cloud.add('h1', aggregates=[ours])
    cloud.add('h2', vcpus=8)
    on = {'scheduler__limit_tenants_to_placement_aggregate': True}
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h2']
    assert hosts_of(cloud.selector(**on).select(make_spec(), new(), 1)) == ['h1']
    other = make_spec(project_id='other')
    assert hosts_of(cloud.selector(**on).select(other, new(), 1)) == ['h2']
    on['scheduler__placement_aggregate_required_for_tenants'] = True
    assert 'No aggregate is meant for the project.' in fail(cloud.selector(**on), other)


def test_isolated_aggregates(cloud):
    kept = make_aggregate('kept', **{'trait:CUSTOM_LICENCE': 'required'})
    cloud.add('h1', vcpus=8, aggregates=[kept], traits=('CUSTOM_LICENCE',))
    cloud.add('h2')
    selector = cloud.selector(scheduler__enable_isolated_aggregate_filtering=True)
    assert hosts_of(selector.select(make_spec(), new(), 1)) == ['h2']
    licensed = make_spec(extra_specs={'trait:CUSTOM_LICENCE': 'required'})
    assert hosts_of(selector.select(licensed, new(), 1)) == ['h1']
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h1']


def test_image_type_and_models(cloud):
    cloud.add('h1', traits=('COMPUTE_IMAGE_TYPE_QCOW2', 'COMPUTE_NET_VIF_MODEL_VIRTIO'))
    cloud.add('h2', vcpus=8)
    spec = make_spec(properties={'hw_vif_model': 'virtio'})
    spec.image.disk_format = 'qcow2'
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h2']
    for option in ('query_placement_for_image_type_support', 'image_metadata_prefilter'):
        selector = cloud.selector(**{f'scheduler__{option}': True})
        assert hosts_of(selector.select(spec, new(), 1)) == ['h1']
