"""Sending notifications: in the background, so that a bus that is away holds up nothing."""

import dataclasses
import threading
from collections import deque
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency, config
from kilonova.common.context import RequestContext
from kilonova.common.notifications import config as options
from kilonova.common.notifications import events
from kilonova.common.notifications.payload import Payload, envelope

LOG = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""How many may wait for a bus that is away; then the oldest ones are lost."""


@dataclasses.dataclass(frozen=True)
class Message:
    """One notification on its way.  ``is_versioned`` decides on the topics."""

    context: dict[str, Any]
    publisher: str
    type: str
    priority: str
    body: dict[str, Any]
    is_versioned: bool


class Notifier:
    """Sends what happened; does nothing while no driver is configured, as by default."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        config.register(options.list_opts(), conf)
        transport = messaging.get_notification_transport(conf)
        self._conf = conf
        self._versioned = messaging.Notifier(
            transport, topics=conf.notifications.versioned_notifications_topics
        )
        self._plain = messaging.Notifier(transport)
        self.is_on = bool(set(conf.oslo_messaging_notifications.driver) - {'noop'})
        kind = conf.notifications.notification_format
        self.versioned = self.is_on and kind in ('both', 'versioned')
        self.plain = self.is_on and kind in ('both', 'unversioned')
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._lost = 0

    def send(
        self,
        context: RequestContext,
        name: str,
        phase: str | None,
        host: str,
        payload: Payload,
        source: str | None = None,
    ) -> None:
        """Send an event of the table, versioned.  Raises KeyError, TypeError for what is not there.

        ``source``: who says it, where that is not always the same daemon.
        """
        event = events.EVENTS[name]
        if type(payload) is not event.payload or (phase or '') not in (event.phases or ('',)):
            raise TypeError(f'{name} has no {phase} with a {type(payload).__name__}')
        if self.versioned:
            self._put(
                Message(
                    _values(context),
                    f'{source or event.source}:{host}',
                    f'{name}.{phase}' if phase else name,
                    events.priority(event, phase),
                    envelope(payload),
                    True,
                )
            )

    def send_plain(
        self,
        context: RequestContext,
        publisher: str,
        type: str,
        body: dict[str, Any],
        is_error: bool = False,
    ) -> None:
        """Send an unversioned notification; ``is_error``: its type does not end with that word."""
        if self.plain:
            failed = is_error or type.endswith('.error')
            level = 'error' if failed else self._conf.notifications.default_level
            self._put(Message(_values(context), publisher, type, level.lower(), body, False))

    def _put(self, message: Message) -> None:
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self._lost += 1
                if self._lost % 1000 == 1:
                    LOG.error('%d notifications were lost: the bus does not take them', self._lost)
            self._waiting.append(message)
            self._changed.notify()

    # -- life

    def start(self) -> None:
        """Begin to send."""
        if self.is_on:
            concurrency.spawn(self._loop)

    def stop(self, timeout: float = 5.0) -> None:
        """Send what waits, within ``timeout`` seconds."""
        with self._changed:
            if self.is_on:
                self._changed.wait_for(lambda: not self._waiting, timeout)
            self._stopping = True
            self._changed.notify_all()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                message = self._waiting[0]
            self._deliver(message)
            with self._changed:
                if self._waiting and self._waiting[0] is message:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _deliver(self, message: Message) -> None:
        try:
            notifier = (self._versioned if message.is_versioned else self._plain).prepare(
                publisher_id=message.publisher
            )
            getattr(notifier, message.priority)(message.context, message.type, message.body)
        except Exception:
            LOG.exception('Notification %s was not sent', message.type)


def _values(context: RequestContext) -> dict[str, Any]:
    """Return who asked, without what would let a reader of the bus ask as that user."""
    values = context.to_dict()
    for secret in ('auth_token', 'service_token'):
        values.pop(secret, None)
    return values
