"""The ``nova-allinone`` command: every daemon in one process, on ``fake://`` and SQLite."""

import sys

from kilonova.common import concurrency


def main() -> int:
    """Run until told to stop."""
    concurrency.choose(concurrency.configured(sys.argv[1:]))
    from kilonova.allinone.service import AllInOne
    from kilonova.common import rpc, service

    return service.run(
        'nova-allinone',
        AllInOne.options,
        AllInOne,
        transport=lambda conf: rpc.get_transport(conf, 'fake://'),
    )
