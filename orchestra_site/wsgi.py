"""The WSGI door: what a server such as gunicorn loads."""

import os

from django.core.wsgi import get_wsgi_application

from orchestra_site.serving import get_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
application = get_wsgi_application()
get_ready()
