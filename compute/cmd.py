"""The ``nova-compute`` command."""

import sys

from kilonova.common import concurrency


def main() -> int:
    """Run the daemon until it is told to stop."""
    concurrency.choose(concurrency.configured(sys.argv[1:]))
    from kilonova.common import service
    from kilonova.compute import config
    from kilonova.compute import service as compute

    return service.run('nova-compute', config.list_opts, compute.make)
