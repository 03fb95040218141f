"""The queue: what waits, who is next, what runs, and how it ends."""
