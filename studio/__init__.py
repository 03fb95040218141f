"""The server: what people see, and what remembers. Never imports torch."""

__version__ = "0.2.0"
