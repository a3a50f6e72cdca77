"""Our version, and the service version that running daemons write beside their heartbeat."""

import importlib.metadata

try:
    VERSION = importlib.metadata.version('kilonova')
except importlib.metadata.PackageNotFoundError:  # run from a tree that was not installed
    VERSION = '0.0.0'

SERVICE_VERSION = 1
"""Rises by one whenever a daemon's interface changes; ``[upgrade_levels]auto`` reads it."""
