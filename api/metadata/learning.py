"""Questions that are asked once, however many requests want the answer at the same time."""

import hashlib
import threading
from collections.abc import Callable

import msgspec
from oslo_config import cfg

from kilonova.api.metadata.remembered import Store
from kilonova.common.metadata import vendordata
from kilonova.common.objects.server import Server


class Learner:
    """Answers are in a store, where other processes find them too."""

    def __init__(self, known: Store) -> None:
        self._known = known
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}

    def learn(self, key: str, ask: Callable[[], bytes]) -> bytes:
        """Return what is known of a key, which is asked for when nothing is."""
        known = self._known.get(key)
        if known is not None:
            return known
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        try:
            with asking, self._known.alone(key):
                known = self._known.get(key)
                if known is None:
                    known = ask()
                    self._known.put(key, known)
                return known
        finally:
            self._asking.pop(key, None)

    def forget(self, key: str) -> None:
        self._known.drop(key)


class VendorData(vendordata.VendorData):
    """Services are asked once for all processes; what they fail to say is remembered as well."""

    def __init__(self, conf: cfg.ConfigOpts, learner: Learner) -> None:
        super().__init__(conf)
        self._learner = learner

    def of(self, server: Server) -> vendordata.Json:
        if not self._targets:
            return super().of(server)
        # What is told of a server that has changed may have another answer.
        told = msgspec.json.encode(vendordata.told(server), order='deterministic')
        key = f'{server.uuid}-{hashlib.sha256(told).hexdigest()[:16]}'
        found: vendordata.Json = msgspec.json.decode(
            self._learner.learn(key, lambda: self._asked(server))
        )
        return found

    def _asked(self, server: Server) -> bytes:
        return msgspec.json.encode(super().of(server))
