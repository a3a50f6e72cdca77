"""The bus within one process: who waits for a message gets it at once.

oslo.messaging's own looks for messages twenty times a second, so that each call costs 25 milliseconds of
waiting, and each daemon at rest twenty looks a second.
"""

import threading
import time
import weakref
from typing import Any

from oslo_messaging._drivers import base, impl_fake

LOOK_EVERY = 0.5
"""Seconds after which a listener looks whether it has been stopped."""

_listeners: 'weakref.WeakSet[Listener]' = weakref.WeakSet()
_lock = threading.Lock()


class Listener(impl_fake.FakeListener):
    """Waits for news of its topics."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._news = threading.Condition()
        self._topics = {target.topic for target in self._targets}
        with _lock:
            _listeners.add(self)

    @base.batch_poll_helper
    def poll(self, timeout: float | None = None) -> impl_fake.FakeIncomingMessage | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._stopped.is_set():
            with self._news:
                message = self._next()
                if message is not None:
                    return message
                rest = LOOK_EVERY if deadline is None else deadline - time.monotonic()
                if rest < 0:
                    break
                self._news.wait(min(rest, LOOK_EVERY))
        return None

    def _next(self) -> impl_fake.FakeIncomingMessage | None:
        for target in self._targets:
            exchange = self._exchange_manager.get_exchange(target.exchange)
            context, message, replies, requeue = exchange.poll(target, self._pool)
            if message is not None:
                return impl_fake.FakeIncomingMessage(context, message, replies, requeue)
        return None

    def tell(self, topic: str) -> None:
        """Wake it if it waits for this topic's messages."""
        if topic in self._topics:
            with self._news:
                self._news.notify_all()

    def stop(self) -> None:
        super().stop()
        with self._news:
            self._news.notify_all()


class Exchange(impl_fake.FakeExchange):
    """Tells the listeners of what it has got."""

    def deliver_message(self, topic: str, *args: Any, **kwargs: Any) -> None:
        super().deliver_message(topic, *args, **kwargs)
        with _lock:
            listeners = list(_listeners)
        for listener in listeners:
            listener.tell(topic)


def install() -> None:
    """Take the place of the library's parts; before anybody listens."""
    impl_fake.FakeListener, impl_fake.FakeExchange = Listener, Exchange
