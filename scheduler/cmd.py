"""nova-scheduler."""

import sys

from kilonova.common import concurrency


def main() -> int:
    concurrency.choose(concurrency.configured(sys.argv[1:]))

    # What follows may be imported only now that the backend is chosen.
    from kilonova.common import service
    from kilonova.scheduler import config
    from kilonova.scheduler.service import Scheduler

    return service.run(
        'nova-scheduler',
        config.list_opts,
        Scheduler,
        workers=lambda conf: conf.scheduler.workers or service.cpu_count(),
    )


if __name__ == '__main__':
    sys.exit(main())
