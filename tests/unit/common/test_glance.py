import datetime

import pytest

from kilonova.common import exception
from kilonova.common.clients import glance, keystone
from kilonova.common.context import RequestContext
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fellows import FakeAdapter, FakeGlance


@pytest.fixture
def fake(monkeypatch):
    service = FakeGlance()
    monkeypatch.setattr(keystone, 'adapter', lambda *args: FakeAdapter(service))
    return service


def get(image_id):
    return glance.get_bootable_image(make_conf(), RequestContext(), image_id)


def test_attributes_and_properties_are_told_apart(fake):
    image = get(fake.add(size=5, min_disk=2, os_hidden=False, kernel_id='k', tags=['t'], file='/f'))
    assert (image.size, image.min_disk, image.disk_format) == (5, 2, 'qcow2')
    assert image.properties == {'hw_disk_bus': 'virtio', 'kernel_id': 'k'}
    assert image.created_at == datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert image.tags == ['t']


def test_an_image_without_data_has_no_size(fake):
    assert glance.get_image(make_conf(), RequestContext(), fake.add(size=None)).size == 0


def test_images_that_cannot_be_booted(fake):
    with pytest.raises(exception.ImageNotActive):
        get(fake.add(status='queued'))
    for image_id in ('11111111-2222-3333-4444-555555555555', '../../v2/tasks'):
        with pytest.raises(exception.ImageNotFound):
            get(image_id)


@pytest.mark.parametrize('status', [401, 403, 404])
def test_what_the_user_may_not_see_is_not_there(fake, monkeypatch, status):
    monkeypatch.setattr(fake, 'answer', lambda *args, **kwargs: (status, None))
    with pytest.raises(exception.ImageNotFound):
        get('11111111-2222-3333-4444-555555555555')


@pytest.mark.parametrize('status', [300, 413, 500])
def test_other_answers_are_glances_fault(fake, monkeypatch, status):
    monkeypatch.setattr(fake, 'answer', lambda *args, **kwargs: (status, None))
    with pytest.raises(exception.FellowServiceError):
        get('11111111-2222-3333-4444-555555555555')


def test_api_servers_take_the_catalogs_place(fake):
    conf = make_conf()
    conf.set_override('api_servers', ['http://one', 'http://two'], 'glance')
    assert glance.adapter(conf).endpoint_override == 'http://one'
