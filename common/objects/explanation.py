"""How a scheduler comes to its choice."""

import msgspec


class Stage(msgspec.Struct, kw_only=True):
    """One stage of a decision.  ``reasons``: why hosts were left out, and how many for each."""

    name: str
    before: int
    after: int
    reasons: dict[str, int] = {}


class Candidate(msgspec.Struct, kw_only=True):
    """A host that would do; ``weights``: what each weigher adds to its weight."""

    host: str
    node: str
    availability_zone: str
    weight: float
    weights: dict[str, float] = {}


class LeftOut(msgspec.Struct, kw_only=True):
    """A host that would not do, and the stage that left it out."""

    host: str
    node: str
    stage: str
    reason: str


class Explanation(msgspec.Struct, kw_only=True):
    """``picked``: the host of each server; fewer, with a ``message``, when there is none."""

    picked: list[str] = []
    candidates: list[Candidate] = []
    left_out: list[LeftOut] = []
    stages: list[Stage] = []
    message: str | None = None
