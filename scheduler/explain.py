"""How a decision came about: what each stage left of the hosts, and why."""

import collections
from collections.abc import Callable, Iterable
from typing import NamedTuple

from oslo_log import log as logging

from kilonova.common.objects.explanation import LeftOut, Stage
from kilonova.scheduler.hosts import Hosts, Indices

LOG = logging.getLogger(__name__)

FEW = 5
"""So many reasons are told; the rest is counted."""

Reason = Callable[[int], str]


class _Stage(NamedTuple):
    name: str
    before: int
    left_out: Indices
    why: Reason

    def reasons(self) -> list[str]:
        return [self.why(int(i)) for i in self.left_out]


class Report:
    """One attempt's stages.  Reasons are only worked out when they are asked for."""

    def __init__(self) -> None:
        self._stages: list[_Stage] = []

    def add(self, stage: str, before: int, left_out: Indices, why: Reason) -> None:
        """Note a stage; ``why`` says of one host why it was left out."""
        self._stages.append(_Stage(stage, before, left_out, why))

    def text(self) -> str:
        """Return e.g. ``ComputeFilter: 3 of 3 hosts left out: 2 disabled, 1 down since …``."""
        return '; '.join(
            f'{stage.name}: {len(stage.left_out)} of {stage.before} '
            f'host{"s" if stage.before != 1 else ""} left out: {count(stage.reasons())}'
            for stage in self._stages
            if len(stage.left_out)
        )

    def summary(self) -> str:
        """Return in a line what each stage that left hosts out has left: without reasons."""
        return ', '.join(
            f'{stage.name} {stage.before - len(stage.left_out)} of {stage.before}'
            for stage in self._stages
            if len(stage.left_out)
        )

    def stages(self) -> list[Stage]:
        return [
            Stage(
                name=stage.name,
                before=stage.before,
                after=stage.before - len(stage.left_out),
                reasons=dict(collections.Counter(stage.reasons()).most_common()),
            )
            for stage in self._stages
        ]

    def left_out(self, hosts: Hosts) -> list[LeftOut]:
        """Return every host that was left out, with the first stage that did it."""
        found: dict[int, LeftOut] = {}
        for stage in self._stages:
            for i, reason in zip(stage.left_out, stage.reasons(), strict=True):
                node = hosts.states[i].node
                found.setdefault(
                    int(i),
                    LeftOut(
                        host=node.host,
                        node=node.hypervisor_hostname,
                        stage=stage.name,
                        reason=reason,
                    ),
                )
        return list(found.values())


def count(reasons: Iterable[str]) -> str:
    """Return alike reasons with their number, the most frequent first."""
    found = collections.Counter(reasons).most_common()
    words = [f'{number} {reason}' for reason, number in found[:FEW]]
    rest = sum(number for _, number in found[FEW:])
    return ', '.join(words + ([f'{rest} for other reasons'] if rest else []))
