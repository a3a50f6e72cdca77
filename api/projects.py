"""Whether a project exists: Keystone knows."""

import urllib.parse

from oslo_log import log as logging

from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import keystone

LOG = logging.getLogger(__name__)


# What the databases keep of an id.
MOST_CHARACTERS = 255


def check_id(kind: str, text: str | None) -> None:
    """Raise Invalid for what is too long to be anybody's id."""
    if text is not None and len(text) > MOST_CHARACTERS:
        raise exception.Invalid(f'{kind} is longer than {MOST_CHARACTERS} characters')


def verify(request: Request, project_id: str) -> None:
    """Raise Invalid for a project that Keystone says does not exist.

    What Keystone does not tell (the caller may not ask, or it does not answer) counts as
    existing: limits and access for a project without servers do no harm.
    """
    check_id('project_id', project_id)
    if project_id == request.context.project_id or request.conf.api.auth_strategy != 'keystone':
        return
    client = keystone.adapter(request.conf, 'keystone', request.context)
    path = f'/projects/{urllib.parse.quote(project_id, safe="")}'
    try:
        answer = keystone.request(client, 'GET', keystone.identity_path(client, path))
    except exception.FellowServiceError as error:
        LOG.warning('Project %s could not be looked up: %s', project_id, error)
        return
    if answer.status_code == 404:
        raise exception.Invalid(f'Project ID {project_id} is not a valid project.')
    if answer.status_code != 200:
        LOG.info('Keystone answered %s for project %s', answer.status_code, project_id)
