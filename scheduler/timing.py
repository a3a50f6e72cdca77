"""How long each stage of a decision takes, for Prometheus."""

from contextlib import AbstractContextManager

from kilonova.common.metrics import Histogram

STAGES = Histogram(
    'nova_scheduler_stage_seconds',
    'Time that a stage of a scheduling decision takes: candidates, each filter, weights, claim.',
    'stage',
)


def timed(stage: str) -> AbstractContextManager[None]:
    """Measure the body as one stage."""
    return STAGES.time(stage)
