"""How long a live migration may take, and how long its guest may stand still for it."""

from oslo_config import cfg


class Plan:
    """The times of one migration, which go with how much is to be copied."""

    def __init__(self, group: cfg.ConfigOpts.GroupAttr, gibibytes: float) -> None:
        size = max(gibibytes, 1.0)
        self._timeout = group.live_migration_completion_timeout * size
        self._action: str = group.live_migration_timeout_action
        self._steps = steps(
            group.live_migration_downtime,
            group.live_migration_downtime_steps,
            group.live_migration_downtime_delay * size,
        )

    def timed_out(self, now: float) -> str | None:
        """Return what is to be done when it takes too long."""
        return self._action if self._timeout and now > self._timeout else None

    def downtime(self, now: float) -> int | None:
        """Return the milliseconds that are allowed from now on, when that changes."""
        found = None
        while self._steps and self._steps[0][0] <= now:
            found = self._steps.pop(0)[1]
        return found


def steps(most: int, count: int, delay: float) -> list[tuple[float, int]]:
    """Return (seconds, milliseconds): from a ``count``-th to all, each step a little larger."""
    least = most / count
    factor = (most / least) ** (1 / count)
    return [(number * delay, round(least * factor**number)) for number in range(count + 1)]
