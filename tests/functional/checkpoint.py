"""The state of a whole cloud, kept and given back: whatever was done to it, it is as it was."""

import copy
import sqlite3
import time
from typing import Any

from kilonova.tests.functional import moves, snapshot
from kilonova.tests.functional.cloud import Cloud

PATIENCE = 15.0
"""Seconds that operations get to end before the state under them changes."""
_KINDS = (dict, set, list)


class Checkpoint:
    """What the databases, the hypervisors and the fellow services hold."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        snapshot.settled(cloud)
        self._databases = {}
        for path in sorted(cloud.folder.glob('*.sqlite')):
            kept = sqlite3.connect(':memory:', check_same_thread=False)
            with sqlite3.connect(path, timeout=30) as live:
                live.backup(kept)
            live.close()
            self._databases[path] = kept
        self._held = {
            one: {name: copy.deepcopy(value) for name, value in state(one).items()}
            for one in self._holders()
        }

    def _holders(self) -> list[Any]:
        """Return the objects that hold state in memory, beside the daemons' caches."""
        fellows = [*self._cloud.fellows, self._cloud.keystone]
        return [*fellows, *moves.drivers(self._cloud).values()]

    def restore(self) -> None:
        """Give it back as soon as nothing is worked on."""
        self.wait()
        for path, kept in self._databases.items():
            live = sqlite3.connect(path, timeout=30)
            kept.backup(live)
            live.close()
        for one, held in self._held.items():
            for name, value in held.items():
                setattr(one, name, copy.deepcopy(value))
            if hasattr(one, 'requests'):
                one.requests = []
        self._cloud.placement.requests.clear()

    def wait(self) -> bool:
        """Wait until no operation runs; tells whether that was so in time."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not snapshot.busy(self._cloud):
                return True
            time.sleep(0.02)
        return False


def state(one: Any) -> dict[str, Any]:
    """Return what a fake or a driver keeps."""
    names = ('_routes', '_broken', '_listeners', 'requests', 'calls')
    return {
        name: value
        for name, value in vars(one).items()
        if isinstance(value, _KINDS) and name not in names
    }
