"""The product's settings, over a home and a database of the tests' own.

ORCHESTRA_TEST_DATABASE=postgresql and ORCHESTRA_TEST_QUEUE=redis start private servers. The process that starts the tests
starts them; pytest-xdist's workers find their addresses in the environment.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from tests import servers

_open = ExitStack()
atexit.register(_open.close)
_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")


def _home() -> Path:
    """A folder of this process; a developer's own installation is never touched."""
    folder = Path(tempfile.mkdtemp(prefix=f"orchestra-tests-{_worker}-"))
    _open.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _serve() -> None:
    if os.environ.get("ORCHESTRA_TEST_DATABASE", "sqlite") == "postgresql" and "ORCHESTRA_DATABASE_URL" not in os.environ:
        os.environ["ORCHESTRA_DATABASE_URL"] = _open.enter_context(servers.postgresql(durable=False)).url
    if os.environ.get("ORCHESTRA_TEST_QUEUE", "orm") == "redis" and "ORCHESTRA_REDIS_URL" not in os.environ:
        os.environ["ORCHESTRA_REDIS_URL"] = _open.enter_context(servers.redis_server()).url
    if "ORCHESTRA_REDIS_URL" in os.environ and _worker != "main":  # a Redis database for each worker: one's tasks are not another's
        os.environ["ORCHESTRA_REDIS_URL"] = os.environ["ORCHESTRA_REDIS_URL"].rsplit("/", 1)[0] + "/" + str(1 + int(_worker.removeprefix("gw")) % 15)


try:
    _serve()
except servers.Unavailable as error:
    raise ImproperlyConfigured(f"The tests were asked to run on a private server, but {error}.") from error

os.environ["ORCHESTRA_HOME"] = str(_home())
os.environ.setdefault("ORCHESTRA_SECRET_KEY", "only-for-tests-only-for-tests-only-for-tests")

from orchestra_site.settings import *  # noqa: E402, F403
from orchestra_site.settings import DATABASES, ORCHESTRA_HOME  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads, children and commands that a test starts share it.
    DATABASES["default"]["TEST"] = {"NAME": str(ORCHESTRA_HOME / "test.sqlite3")}

ORCHESTRA_LIVE_MODELS = False  # no test asks a live provider, ever

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a hundredth of the time; tests sign in often
