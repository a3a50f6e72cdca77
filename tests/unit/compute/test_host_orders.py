"""Diagnostics, images kept ready, and orders that concern the whole host."""

from collections.abc import Callable

import pytest

from kilonova.common import exception
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.compute.enabling import HostEndpoint
from kilonova.compute.image_caching import ImageCachingEndpoint
from kilonova.compute.virt import driver
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server

MakeHere = Callable[..., Here]


def test_diagnostics_of_a_running_guest(here: Here) -> None:
    server = here.built(make_server())
    found = here.console.get_diagnostics(CONTEXT, server)
    assert isinstance(found, Diagnostics)
    assert (found.state, len(found.cpus), found.memory_maximum) == ('running', 1, 64 * 1024)
    here.driver.power_off(server, 0)
    with pytest.raises(exception.InstanceInvalidState) as refused:
        here.console.get_diagnostics(CONTEXT, server)
    assert str(refused.value) == (
        f"Cannot 'get_diagnostics' instance {server.uuid} while it is in power state shutdown"
    )
    with pytest.raises(exception.GuestNotFound):
        here.console.get_diagnostics(CONTEXT, make_server())


def test_images_are_fetched_once(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'download_images': True})
    endpoint = ImageCachingEndpoint(here.host)
    image, missing = here.glance.add(), '0f7b9b8c-1111-4222-8333-944445555666'
    assert endpoint.cache_images(CONTEXT, [image, missing]) == {image: 'cached', missing: 'error'}
    assert endpoint.cache_images(CONTEXT, [image]) == {image: 'existing'}
    assert here.driver.cached == {image}


def test_a_driver_without_a_cache_says_so(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(here.driver), 'cache_image', driver.Images.cache_image)
    image = here.glance.add()
    answer = ImageCachingEndpoint(here.host).cache_images(CONTEXT, [image])
    assert answer == {image: 'unsupported'}


def test_orders(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = HostEndpoint(here.host)
    assert endpoint.host_power_action(CONTEXT, 'reboot') == 'reboot'
    assert endpoint.set_host_maintenance(CONTEXT, True) and here.driver.in_maintenance
    assert not endpoint.set_host_maintenance(CONTEXT, False)
    monkeypatch.setattr(type(here.driver), 'power_action', driver.Host.power_action)
    with pytest.raises(exception.NotSupported, match='power actions on hosts'):
        endpoint.host_power_action(CONTEXT, 'reboot')
