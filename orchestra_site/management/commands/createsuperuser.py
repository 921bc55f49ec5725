"""`createsuperuser`: administrators are made by `manage.py person`, in the ledger. Shadows the command of django.contrib.auth. Knows no rule."""

from orchestra_site.instead import Instead


class Command(Instead):
    help = "Not here: accounts are made where that is recorded."
    example = "manage.py person NAME --create --administrator"
    instead = (
        "`manage.py person NAME --create --administrator` makes an administrator with a random password, shown once, and an entry of the ledger. "
        "The first one, `admin`, is made by `manage.py createfirstadmin`."
    )
