"""TCP ports of the host for serial consoles."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from oslo_config import cfg

from kilonova.common import exception


class SerialPorts:
    """Finds free ports; what was handed out stays reserved until its guest listens there."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._reserved: set[int] = set()

    @contextlib.contextmanager
    def reserve(self, count: int) -> Iterator[list[int]]:
        """Yield that many free ports.  Raises VirtDriverError when there are not enough."""
        with self._lock:
            found = self._find(count)
            self._reserved.update(found)
        try:
            yield found
        finally:
            with self._lock:
                self._reserved.difference_update(found)

    def _find(self, count: int) -> list[int]:
        first, last = map(int, self._conf.serial_console.port_range.split(':'))
        found: list[int] = []
        for port in range(first, last):
            if len(found) == count:
                return found
            if port not in self._reserved and self._is_free(port):
                found.append(port)
        if len(found) < count:
            raise exception.VirtDriverError(
                reason=f'No TCP port for a serial console is free from {first} to {last}'
            )
        return found

    def _is_free(self, port: int) -> bool:
        address = self._conf.serial_console.proxyclient_address
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
        return True
