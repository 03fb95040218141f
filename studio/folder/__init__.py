"""The data folder: whose it is, who may read it, what is in it, and a copy of it."""
