"""What is said of operations: every event of the table by some step, with what it carries."""

import pytest

from kilonova.common.notifications.events import EVENTS
from kilonova.conductor.notify import watch
from kilonova.db.happenings import Began, Ended


def test_every_event_of_servers_has_its_step() -> None:
    said = {name for names in watch.STEPS.values() for name in names}
    declared = {
        event.removeprefix('instance.') for event in EVENTS if event.startswith('instance.')
    }
    # Said of changes, before a rebuild, and by the audit.
    assert declared - said == {'update', 'rebuild_scheduled', 'exists'}
    assert said <= declared


@pytest.mark.parametrize(
    'happening, phases, expected',
    [
        (Began('o', 'e'), ('start', 'end'), 'start'),
        (Ended('o', 'e', 'Success', ''), ('start', 'end'), 'end'),
        (Ended('o', 'e', 'Error', ''), ('start', 'end', 'error'), 'error'),
        (Ended('o', 'e', 'Error', ''), ('start', 'end'), None),
        (Began('o', 'e'), (), None),
        (Ended('o', 'e', 'Success', ''), (), ''),
    ],
)
def test_phases(happening: Began | Ended, phases: tuple[str, ...], expected: str | None) -> None:
    assert watch._phase(happening, phases) == expected


def test_what_an_operation_carries() -> None:
    carried = {'rule': 'x', 'device': {'volume_id': 'old'}, 'new': {'volume_id': 'new'}}
    assert watch._find(carried, 'volume_id') == 'old'
    assert watch._find(carried, 'new.volume_id') == 'new'
    assert watch._find(carried, 'share_id') is None
