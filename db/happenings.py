"""What a transaction did that somebody outside wants to know, once it is committed.

While nobody listens, nothing is noted and nothing is read.
"""

from typing import Any, Protocol

import msgspec
from sqlalchemy.orm import Session

KEY = 'happenings'


class Began(msgspec.Struct):
    """A host, or the conductor, begins with one step of an operation."""

    operation: str
    event: str


class Ended(msgspec.Struct):
    """Such a step has ended; ``result`` 'Success' or 'Error', ``payload`` what it carried."""

    operation: str
    event: str
    result: str
    payload: str
    details: str | None = None


class Changed(msgspec.Struct):
    """A server's states or name were something else before."""

    uuid: str
    old: dict[str, Any]


Happening = Began | Ended | Changed


class Listener(Protocol):
    """Gets to know what is committed."""

    def read(self, session: Session, happened: list[Happening]) -> list[Any]:
        """Look at what is about to be committed; returns what is to be told."""

    def tell(self, told: list[Any]) -> None:
        """It is committed.  Must not wait."""


def note(session: Session, *happened: Happening) -> None:
    """Tell it when the transaction is committed."""
    found = of(session)
    if found is not None:
        found += happened


def of(session: Session) -> list[Happening] | None:
    """Return the list to note in; None: nobody listens."""
    found: list[Happening] | None = session.info.get(KEY)
    return found
