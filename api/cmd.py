"""The commands ``nova-api``, ``nova-api-os-compute`` and ``nova-api-metadata``."""

import functools
import sys

from kilonova.common import concurrency


def main() -> int:
    """Serve the APIs of ``enabled_apis``."""
    return _run('nova-api', None)


def main_os_compute() -> int:
    """Serve the compute API."""
    return _run('nova-api-os-compute', ('osapi_compute',))


def main_metadata() -> int:
    """Serve the metadata API."""
    return _run('nova-api-metadata', ('metadata',))


def _run(prog: str, names: tuple[str, ...] | None) -> int:
    concurrency.choose(concurrency.configured(sys.argv[1:]))

    # What follows may be imported only now that the backend is chosen.
    from kilonova.api import config
    from kilonova.api import service as api
    from kilonova.common import service

    return service.run(
        prog,
        config.list_opts,
        functools.partial(api.Api, names=names),
        workers=functools.partial(api.workers, names=names),
    )


if __name__ == '__main__':
    sys.exit(main())
