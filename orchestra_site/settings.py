"""Django's settings, read from ORCHESTRA_*; this file is the list of them, with their defaults and limits.

Owns every default; must not know the apps' code. Read through django.conf by everybody.
"""

import os
import sys
from pathlib import Path
from typing import Any

from orchestra_site import env

BASE_DIR = Path(__file__).resolve().parent.parent

ORCHESTRA_HOME = env.folder("ORCHESTRA_HOME", BASE_DIR / "var")
ORCHESTRA_LEASE_TTL_S = env.whole("ORCHESTRA_LEASE_TTL_S", 30, least=3, most=3_600)
ORCHESTRA_HEARTBEAT_S = env.whole("ORCHESTRA_HEARTBEAT_S", 10, least=1, most=1_200)
ORCHESTRA_CHILDREN = env.whole("ORCHESTRA_CHILDREN", 2 * (os.cpu_count() or 1), least=1, most=1_024)
# Runs that wait to be begun; whoever starts more is told to come back later.
ORCHESTRA_MOST_QUEUED = env.whole("ORCHESTRA_MOST_QUEUED", 50_000, least=1, most=10_000_000)
ORCHESTRA_MOST_QUEUED_OF_TEAM = env.whole("ORCHESTRA_MOST_QUEUED_OF_TEAM", 20_000, least=1, most=10_000_000)
ORCHESTRA_MOST_QUEUED_OF_PIPELINE = env.whole("ORCHESTRA_MOST_QUEUED_OF_PIPELINE", 10_000, least=1, most=10_000_000)
# Days beforehand on which it is said that an agent will be suspended.
ORCHESTRA_NOTICE_DAYS = env.whole("ORCHESTRA_NOTICE_DAYS", 14, least=0, most=365)
ORCHESTRA_GRANTED_DAYS = env.whole("ORCHESTRA_GRANTED_DAYS", 0, least=0, most=3_650)
ORCHESTRA_CONCURRENCY = env.whole("ORCHESTRA_CONCURRENCY", 256, least=1, most=10_000)

SECRET_KEY = env.secret("ORCHESTRA_SECRET_KEY", ORCHESTRA_HOME / "secret_key")
SECRET_KEY_FALLBACKS = env.former_secrets("ORCHESTRA_SECRET_KEY_FALLBACKS")  # sessions and keys of agents that were made under these go on
# Stands in every key of an agent, so that one of another installation is known as such.
ORCHESTRA_ENVIRONMENT = env.word("ORCHESTRA_ENVIRONMENT", "live", most=16)
DEBUG = env.flag("ORCHESTRA_DEBUG", False)
ALLOWED_HOSTS = env.names("ORCHESTRA_ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]"))

INSTALLED_APPS = [
    "orchestra_site.apps.SiteConfig",  # first: its createsuperuser and changepassword stand in for Django's
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "orchestra_site.apps.PagesConfig",  # its pages are found by whoever serves them (urls.py): a third of the start of any command
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "guardian",
    "simple_history",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "audit.apps.AuditConfig",
    "agents.apps.AgentsConfig",
    "runs.apps.RunsConfig",
    "approvals.apps.ApprovalsConfig",
]

MIDDLEWARE = [
    "orchestra_site.health.probes.probes_middleware",
    "orchestra_site.heads.heads_middleware",
    "orchestra_site.rest.problems.problems_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "orchestra_site.people.actor_middleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "orchestra_site.nul.nul_middleware",
]

ROOT_URLCONF = "orchestra_site.urls"
WSGI_APPLICATION = "orchestra_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# The database -----------------------------------------------------------------------------------------------------------------------

_SQLITE: dict[str, Any] = {
    # IMMEDIATE: a deferred transaction that reads and then writes is refused as "locked" without waiting for the timeout.
    # FULL: no acknowledged row may be lost. recursive_triggers: else INSERT OR REPLACE deletes a ledger row past its trigger.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON; PRAGMA busy_timeout=20000;",
}
_POSTGRESQL: dict[str, Any] = {
    # Milliseconds. Transitions hold locks for tens of ms, so ten seconds mean that something is wrong and should be said.
    # A process that is gone without a word, or stands still, in the middle of a transaction: its rows are free when its lease is.
    "options": "-c lock_timeout=10000 -c statement_timeout=60000 "
    f"-c idle_in_transaction_session_timeout={1000 * min(max(ORCHESTRA_LEASE_TTL_S, 5), 60)}",
    "connect_timeout": 10,
    # A peer that is gone without a word: noticed within a minute instead of never, so that no thread of an engine waits for ever.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # the same for what was sent and not heard; without it, the system tries again for a quarter of an hour
    "prepare_threshold": 2,  # allows audit.bulk to prepare its inserts; nothing else does
}


def _database() -> dict[str, Any]:
    parsed = env.database("ORCHESTRA_DATABASE_URL", ORCHESTRA_HOME / "orchestra.sqlite3")
    defaults = _POSTGRESQL if parsed["ENGINE"].endswith("postgresql") else _SQLITE
    return {
        **parsed,
        "OPTIONS": {**defaults, **parsed.get("OPTIONS", {})},
        # With 0, Django's default, the ORM broker reconnects for every task. Kept connections are asked whether they still live.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,  # IMMEDIATE would take the write lock on every GET
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Models -----------------------------------------------------------------------------------------------------------------------------

ORCHESTRA_LIVE_MODELS = env.flag("ORCHESTRA_LIVE_MODELS", True)  # off: recorded replies and endpoints on this machine only

# The queue: a doorbell. Rows are the truth, so a lost or repeated task costs time and nothing else. -----------------------------------

ORCHESTRA_REDIS_URL = env.redis_url("ORCHESTRA_REDIS_URL")

Q_CLUSTER: dict[str, Any] = {
    "name": "orchestra",
    "workers": env.whole("ORCHESTRA_QUEUE_WORKERS", 2, least=1, most=64),
    "timeout": env.whole("ORCHESTRA_QUEUE_TIMEOUT_S", 60, least=5, most=3_600),
    "retry": env.whole("ORCHESTRA_QUEUE_RETRY_S", 120, least=6, most=7_200),  # must exceed timeout: check orchestra.E001
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,  # after a long stop, each schedule runs once and not once per missed turn
    "poll": 0.5,
    "save_limit": 100,
    "queue_limit": 50,
    "recycle": 500,
    "bulk": 1,
    "label": "Queue",
    "log_level": "WARNING",
    **({"redis": env.patient(ORCHESTRA_REDIS_URL, seconds=10)} if ORCHESTRA_REDIS_URL else {"orm": "default"}),
}

CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": ORCHESTRA_REDIS_URL, "KEY_PREFIX": "orchestra"}
        if ORCHESTRA_REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

ORCHESTRA_WATCHERS = env.whole("ORCHESTRA_WATCHERS", 4, least=1, most=1_024)  # each holds a thread of its process while it waits

ORCHESTRA_MONITOR_TOKEN = env.token("ORCHESTRA_MONITOR_TOKEN")  # reads /metrics and /health/outcomes, and nothing else

# Notices: what people are told, and where -------------------------------------------------------------------------------------------

_MAIL = env.mail_server("ORCHESTRA_EMAIL_URL")
EMAIL_BACKEND = _MAIL["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _MAIL.get("EMAIL_HOST", "localhost"), _MAIL.get("EMAIL_PORT", 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.get("EMAIL_HOST_USER", ""), _MAIL.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.get("EMAIL_USE_TLS", False), _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 20
ORCHESTRA_EMAIL = "EMAIL_HOST" in _MAIL  # a process without a server leaves mails to those that have one
ORCHESTRA_EMAIL_FROM = env.mailbox("ORCHESTRA_EMAIL_FROM") or "orchestra@localhost"
ORCHESTRA_PUBLIC_URL = env.origin("ORCHESTRA_PUBLIC_URL")  # where people reach the admin; links in notices begin with it
ORCHESTRA_PRIVATE_WEBHOOKS = env.endpoints("ORCHESTRA_PRIVATE_WEBHOOKS")  # HOST:PORT texts whose addresses need not be public, nor https

# Web --------------------------------------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["orchestra_site.signing_in.PasswordBackend", "guardian.backends.ObjectPermissionBackend"]
ANONYMOUS_USER_NAME = None  # guardian would make an account of this name, which then shows in every list of people
GUARDIAN_MONKEY_PATCH_USER = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
ORCHESTRA_TRIES = env.whole("ORCHESTRA_TRIES", 10, least=1, most=1_000)  # wrong passwords for one user name from one address, then nobody may try
ORCHESTRA_TRIES_PER_ADDRESS = env.whole("ORCHESTRA_TRIES_PER_ADDRESS", 100, least=1, most=100_000)
ORCHESTRA_TRIES_PER_NAME = env.whole("ORCHESTRA_TRIES_PER_NAME", 100, least=1, most=100_000)  # from all addresses that are new to it
ORCHESTRA_LOCK_S = env.whole("ORCHESTRA_LOCK_S", 900, least=10, most=86_400)
ORCHESTRA_MOST_TOKENS = env.whole("ORCHESTRA_MOST_TOKENS", 100, least=1, most=10_000)  # of one person, that have not ended
ORCHESTRA_MOST_KEYS = env.whole("ORCHESTRA_MOST_KEYS", 20, least=1, most=1_000)  # of one agent, that have not ended
ORCHESTRA_PROXIES = env.whole(
    "ORCHESTRA_PROXIES", 0, least=0, most=10
)  # how many of ours a request passes; never by itself: a client writes the header too
ORCHESTRA_HTTPS = env.flag("ORCHESTRA_HTTPS", False)  # served through TLS: cookies then never travel without it
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ORCHESTRA_HTTPS
# A browser says https; where the proxy ends TLS, what reaches us is http, so its origin has to be known. A leading dot is a host and all below it.
_TLS_ORIGINS = [f"https://{'*' if host.startswith('.') else ''}{host}" for host in ALLOWED_HOSTS if host != "*"] if ORCHESTRA_HTTPS else []
CSRF_TRUSTED_ORIGINS = [*_TLS_ORIGINS, *env.origins("ORCHESTRA_ORIGINS")]
_TLS_HEADER = env.header("ORCHESTRA_TLS_HEADER")  # never by itself: where no proxy sets it, a browser could
SECURE_PROXY_SSL_HEADER = (f"HTTP_{_TLS_HEADER.upper().replace('-', '_')}", "https") if _TLS_HEADER else None
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# Nothing from elsewhere, nothing to elsewhere, no script of a page's own. unsafe-eval: the theme's Alpine evaluates its attributes;
# unsafe-inline for styles: its colours, and the places of bars in a timeline.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# The admin ---------------------------------------------------------------------------------------------------------------------------

LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
SIMPLE_HISTORY_REVERT_DISABLED = True  # a revert would write past the use-cases and the ledger
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Orchestra",
    "SITE_HEADER": "Orchestra",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "STYLES": ["orchestra_site.admin.navigation.style"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "orchestra_site.admin.navigation.icon"}],
    "ACCOUNT": {"navigation": [{"title": "Your account", "link": "orchestra_site.admin.navigation.account"}]},
    "DASHBOARD_CALLBACK": "orchestra_site.admin.dashboard.context",
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "orchestra_site.admin.navigation.sidebar"},
    "COLORS": {
        "primary": {
            "50": "#eef4ff", "100": "#dbe6fe", "200": "#bfd3fe", "300": "#93b4fd", "400": "#608cfa", "500": "#3b66f5",
            "600": "#2549e0", "700": "#1d39bf", "800": "#1e329a", "900": "#1e307a", "950": "#171f4a",
        }
    },
}  # fmt: skip

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # read from the packages at start: nothing to collect, nothing to forget

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["orchestra_site.formats"]  # instants to the second: two entries of a minute are not the same
TIME_ZONE = "UTC"
USE_TZ = True

# REST: doors in each app's `api` package, what only the site may know in orchestra_site.rest -------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orchestra_site.rest.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["audit.api.bodies.StrictJSON"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "orchestra_site.rest.negotiation.JsonAlways",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "orchestra_site.rest.problems.handle",
    "URL_FORMAT_OVERRIDE": None,
    "UNICODE_JSON": False,  # answers are ASCII: no text of a model or a file reaches a terminal as control or bidi characters
    "COMPACT_JSON": True,
}
KNOX_TOKEN_MODEL = "orchestra_site.Token"  # noqa: S105 - a model
MIGRATION_MODULES = {"knox": None}  # they would make the table of its own token too, which nothing uses and which keeps people from being flushed
REST_KNOX: dict[str, Any] = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_PREFIX": "orc_"}  # the prefix lets scanners of secrets find one
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Orchestra",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # a worker would make the whole document at each start; a test does it
    "SORT_OPERATION_PARAMETERS": False,
    "POSTPROCESSING_HOOKS": ["orchestra_site.rest.schema.complete"],
}

# Commands: whose one is (audit.management.persons); no app below the site may import what knows people ----------------------------------

ORCHESTRA_ACTOR_OF_SHELL = "orchestra_site.shell.actor_of_shell"

# Logging: to stderr, so that stdout belongs to what a command was asked for ------------------------------------------------------------

_LEVEL = env.choice("ORCHESTRA_LOG_LEVEL", "WARNING", among=("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr, "filters": ["one_line"]}},
    "filters": {"no_bad_news": {"()": "orchestra_site.health.logs.NoBadNews"}, "one_line": {"()": "orchestra_site.health.logs.OneLine"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{app: {"level": _LEVEL} for app in ("audit", "agents", "runs", "approvals", "orchestra_site")},
        "django.request": {"filters": ["no_bad_news"]},
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}
