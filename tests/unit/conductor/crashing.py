"""A conductor's death at each contact with a database or Cinder."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kilonova.common.clients.cinder import Cinder
from kilonova.db.engine import Database

if TYPE_CHECKING:
    from kilonova.tests.unit.conductor.world import World


class Killed(BaseException):
    """The conductor's process is gone; no ``except Exception`` sees it."""


class Crashing:
    """A database whose transactions are contacts at which the conductor may die."""

    def __init__(self, real: Database, world: 'World', name: str) -> None:
        self._real, self._world, self._name = real, world, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        self._world.contact(f'{self._name}: begin')
        with self._real.transaction() as session:
            yield session
            self._world.contact(f'{self._name}: before commit')
        self._world.contact(f'{self._name}: committed')


class CrashingCinder:
    """Cinder; each request is a contact, before and after it is done."""

    def __init__(self, real: Cinder, world: 'World') -> None:
        self._real, self._world = real, world

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            self._world.contact(f'cinder: {name}')
            answer = getattr(self._real, name)(*args, **kwargs)
            self._world.contact(f'cinder: {name}: done')
            return answer

        return ask
