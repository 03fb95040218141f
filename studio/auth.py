"""Moved to `studio/accounts/`; this name stays for those who still use it."""

from studio.accounts import LOCAL_OWNER, announcement, gradio_auth, install, is_required, logins, owner_of

__all__ = ["LOCAL_OWNER", "announcement", "gradio_auth", "install", "is_required", "logins", "owner_of"]
