"""The APIs for other web servers: ``kilonova.api.wsgi:compute`` and ``:metadata``.

The configuration is named by the environment, as there is no command line:
OS_NOVA_CONFIG_DIR (``/etc/nova``) and OS_NOVA_CONFIG_FILES in it (``nova.conf``), with
semicolons between them.  It is read by the import, so that a server with a broken one
does not start.
"""

import os

from kilonova.api import deployment

_conf = deployment.configure(os.environ)
compute = deployment.Application('osapi_compute', _conf)
metadata = deployment.Application('metadata', _conf)
