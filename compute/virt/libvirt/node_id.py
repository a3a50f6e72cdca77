"""The node's uuid: made once, kept in ``<state_path>/compute_id`` as Nova does."""

import os
import uuid

from oslo_log import log as logging

from kilonova.common import exception

LOG = logging.getLogger(__name__)

NAME = 'compute_id'


def load(state_path: str) -> str:
    """Return the uuid in the file, which is made when it is missing.  Raises VirtDriverError."""
    path = os.path.join(state_path, NAME)
    try:
        with open(path) as file:
            return str(uuid.UUID(file.read().strip()))
    except FileNotFoundError:
        return _make(path)
    except (OSError, ValueError) as error:
        raise exception.VirtDriverError(reason=f'{path} has no readable uuid: {error}') from error


def _make(path: str) -> str:
    made = str(uuid.uuid4())
    temporary = f'{path}.{os.getpid()}'
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, 'w') as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError as error:
        raise exception.VirtDriverError(reason=f'{path} cannot be written: {error}') from error
    LOG.info('This node is %s from now on (%s)', made, path)
    return made
