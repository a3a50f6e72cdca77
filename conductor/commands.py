"""The operator's commands.

What they import comes after ``concurrency``, which keeps warnings that are meant for
developers off the operator's screen.
"""

from kilonova.common import concurrency  # noqa: F401


def manage() -> int:
    """Run ``nova-manage``."""
    from kilonova.conductor.manage import cmd

    return cmd.main()


def status() -> int:
    """Run ``nova-status``."""
    from kilonova.conductor import status as command

    return command.main()
