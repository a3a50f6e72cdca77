"""The longest texts that the API takes fit into every database."""

import pytest
from oslo_config import cfg

from kilonova.common.context import RequestContext
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.server import Keypair
from kilonova.conductor.flavors import Flavors
from kilonova.conductor.keypairs import Keypairs
from kilonova.db.engine import Database

# Below 64 KiB of characters, above it in bytes.
LONG = 'é' * 50_000
CONTEXT = RequestContext(user_id='u', project_id='p')


@pytest.mark.parametrize('text', [LONG, 'x' * 65_535])
def test_description_of_a_flavor(api_db: Database, text: str) -> None:
    endpoint = Flavors(api_db)
    endpoint.create_flavor(
        CONTEXT, Flavor(flavorid='long', name='long', memory_mb=1, vcpus=1, description=text)
    )
    assert endpoint.get_flavor(CONTEXT, 'long').description == text


def test_comment_of_a_key(api_db: Database, conf: cfg.ConfigOpts) -> None:
    endpoint = Keypairs(conf, api_db)
    key = Keypair(name='long', user_id='u', fingerprint='f', public_key='ssh ' + LONG)
    endpoint.create_keypair(CONTEXT, key)
    assert endpoint.get_keypair(CONTEXT, 'u', 'long').public_key == key.public_key
