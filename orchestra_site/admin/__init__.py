"""The admin as a whole: its name and navigation, the pages that show several apps at once, people, and the queue's tables locked.

Knows every app; no app knows it. Django loads it to find what it registers.
"""

from django.contrib import admin

from . import accounts, dashboard, inventory, queue

admin.site.site_header = "Orchestra"
admin.site.site_title = "Orchestra"
admin.site.index_title = "Overview"
admin.site.index_template = "admin/site/index.html"
admin.site.enable_nav_sidebar = True

__all__ = ["accounts", "dashboard", "inventory", "queue"]
