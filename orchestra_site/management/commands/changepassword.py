"""`changepassword`: passwords are set by `manage.py person`, in the ledger. Shadows the command of django.contrib.auth. Knows no rule."""

from orchestra_site.instead import Instead


class Command(Instead):
    help = "Not here: passwords are set where their change is recorded."
    example = "manage.py person NAME --password"
    instead = (
        "`manage.py person NAME --password` sets a new random password, shown once; it ends the person's sessions and tokens, and is an entry of the "
        "ledger. People change their own in the admin, under Your account."
    )
