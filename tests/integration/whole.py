"""A control plane with a broker and a database of its own, for as long as somebody measures it."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.processes import Processes
from kilonova.tests.integration.stack import Stack


@contextlib.contextmanager
def standing(hosts: int, backend: str) -> Iterator[Stack]:
    """Yield it started, with the processes' ids in ``*.pid`` files in its folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix='kn-bench-', dir='/var/tmp'))
    folder.chmod(0o755)
    processes = Processes(folder)
    stack = None
    try:
        print('starting MariaDB, RabbitMQ, placement and the daemons', flush=True)
        database, broker = MariaDB(processes, folder), RabbitMQ(processes, folder)
        stack = Stack(folder, database, broker, processes, hosts, backend=backend)
        stack.start()
        for name, process in processes.running.items():
            (folder / f'{name}.pid').write_text(str(process.pid))
        yield stack
    finally:
        processes.close()
        if stack is not None:
            stack.close()
        shutil.rmtree(folder, ignore_errors=True)
