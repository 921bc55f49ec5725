"""The ASGI door: what a server such as uvicorn loads."""

import os

from django.core.asgi import get_asgi_application

from orchestra_site.serving import get_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
application = get_asgi_application()
get_ready()
