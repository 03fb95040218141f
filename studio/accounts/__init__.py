"""Who is asking, and what they may: one login for page and API, keys for programs, and a guard before everything.

On this machine alone there is no login; then only requests addressed to this machine by its own name are answered, and none
that another web page sends. Anything wider (`--listen`, `--share`, `--auth`) asks for a login everywhere: a session from the
sign-in page, HTTP Basic, or a key (`Authorization: Bearer sk-…`). Roles and teams will live here too; see docs/accounts.md.

    users      names and passwords           keys    what programs show instead of a password
    sessions   who is logged in where        brakes  against trying passwords (browsers: whose tries they are)
    rights     who may do what               guard   the middleware; headers, gate and pages belong to it
"""

from studio.accounts.accounts import Accounts
from studio.accounts.guard import Guard, gradio_auth, install, owner_of
from studio.accounts.rights import Forbidden, may, require
from studio.accounts.users import LOCAL_OWNER, announcement, is_required, logins

__all__ = [
    "LOCAL_OWNER",
    "Accounts",
    "Forbidden",
    "Guard",
    "announcement",
    "gradio_auth",
    "install",
    "is_required",
    "logins",
    "may",
    "owner_of",
    "require",
]
