"""The links to workers, and what they hold in memory."""
