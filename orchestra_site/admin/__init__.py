"""The admin as a whole: its name and navigation, the pages that show several apps at once, people, and the queue's tables locked.

Knows every app; no app knows it. Django loads it to find what it registers.
"""

# What these three register is taken back below, so they come first.
import django.contrib.auth.admin  # noqa: F401
import django_q.admin  # noqa: F401
import knox.admin  # noqa: F401
from django.contrib import admin

from orchestra_site.signing_in import SignInForm

from . import account, accounts, dashboard, groups, inventory, locks, queue

admin.site.site_header = "Orchestra"
admin.site.site_title = "Orchestra"
admin.site.index_title = "Overview"
admin.site.index_template = "admin/site/index.html"
admin.site.login_form = SignInForm
admin.site.enable_nav_sidebar = True

__all__ = ["account", "accounts", "dashboard", "groups", "inventory", "locks", "queue"]
