"""The program nova-conductor."""

import sys

from kilonova.common import concurrency


def main() -> int:
    """Run a conductor; ``[conductor]workers`` processes."""
    concurrency.choose(concurrency.configured(sys.argv[1:]))
    from kilonova.common import service
    from kilonova.conductor.service import BINARY, Conductor, list_opts

    return service.run(
        BINARY,
        list_opts,
        Conductor,
        lambda conf: conf.conductor.workers or service.cpu_count(),
    )
