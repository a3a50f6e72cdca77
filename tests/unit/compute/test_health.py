"""A hypervisor that goes away and comes back."""

import pathlib

import pytest

from kilonova.common import exception
from kilonova.compute.health import Health
from kilonova.tests.unit.compute.here import Here


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> tuple[Here, list[bool]]:
    here = Here(tmp_path)
    shown: list[bool] = []
    monkeypatch.setattr(here.host.inventory, 'set_enabled', shown.append)
    return here, shown


def test_only_changes_are_told(
    told: tuple[Here, list[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, shown = told
    health = Health(here.host)
    health.look()
    health.look()

    def away() -> None:
        raise exception.VirtDriverError(reason='no socket')

    monkeypatch.setattr(here.driver, 'check_health', away)
    health.look()
    health.look()
    monkeypatch.undo()
    monkeypatch.setattr(here.host.inventory, 'set_enabled', shown.append)
    health.look()
    told_now = [
        call['trouble'] for name, call in here.conductor.calls if name == 'hypervisor_health'
    ]
    assert told_now == [None, 'no socket', None]
    assert shown == [True, False, True]


def test_a_trait_that_cannot_be_set_does_not_matter(
    told: tuple[Here, list[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _shown = told

    def fail(enabled: bool) -> None:
        raise exception.VirtDriverError(reason='libvirt is away')

    monkeypatch.setattr(here.host.inventory, 'set_enabled', fail)
    Health(here.host).look()


def test_a_conductor_that_did_not_answer_is_told_again(
    told: tuple[Here, list[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, shown = told
    health = Health(here.host)

    def silent(*args: object) -> None:
        raise exception.ServiceUnavailable('nobody answers')

    with monkeypatch.context() as patch:
        patch.setattr(here.conductor, 'hypervisor_health', silent)
        with pytest.raises(exception.ServiceUnavailable):
            health.look()
    health.look()
    assert shown == [True]
