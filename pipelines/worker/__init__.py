"""The worker process, and the one table of who makes what."""
