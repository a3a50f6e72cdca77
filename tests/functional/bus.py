"""Who reads notifications, as billing and monitoring do: from the bus, by topic."""

from collections.abc import Callable
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.tests.functional.cloud import wait

CONF = """
[oslo_messaging_notifications]
driver = messagingv2
transport_url = fake://
[notifications]
notification_format = both
"""


class Note:
    """One notification."""

    def __init__(self, priority: str, publisher: str, type: str, payload: Any, context: Any):
        self.priority, self.publisher, self.type = priority, publisher, type
        self.payload, self.context = payload, context

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = self.payload['nova_object.data']
        return found

    def __repr__(self) -> str:
        return f'{self.priority} {self.type}'


class _Endpoint:
    def __init__(self, notes: list[Note]) -> None:
        for priority in ('info', 'warn', 'error'):
            setattr(self, priority, self._keep(priority, notes))

    @staticmethod
    def _keep(priority: str, notes: list[Note]) -> Callable[..., None]:
        def keep(context: Any, publisher: str, type: str, payload: Any, _metadata: Any) -> None:
            notes.append(Note(priority, publisher, type, payload, context))

        return keep


class Reader:
    """Reads one topic from when it is made."""

    def __init__(self, conf: cfg.ConfigOpts, topic: str) -> None:
        self.notes: list[Note] = []
        transport = messaging.get_notification_transport(conf)
        self._listener = messaging.get_notification_listener(
            transport, [messaging.Target(topic=topic)], [_Endpoint(self.notes)],
            executor='threading',
        )  # fmt: skip
        self._listener.start()

    def wait(self, *types: str, about: str | None = None) -> list[Note]:
        """Wait for notifications of these types, in this order; returns them."""
        return list(wait(lambda: self._in_order(types, about), f'{types} in {self.notes}', 10))

    def _in_order(self, types: tuple[str, ...], about: str | None) -> list[Note] | None:
        rest, found = list(types), []
        for note in list(self.notes):
            if rest and note.type == rest[0] and (about is None or about in str(note.payload)):
                found.append(note)
                rest.pop(0)
        return None if rest else found

    def close(self) -> None:
        self._listener.stop()
        self._listener.wait()
