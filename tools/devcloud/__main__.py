"""``python3 tools/devcloud``: runs before anything is installed, so standard library only."""

import sys
from pathlib import Path


def run() -> int:
    # Python was given this directory, not the package: its parent makes it importable.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from devcloud import cli

    return cli.main()


if __name__ == '__main__':
    sys.exit(run())
