"""The data folder: whose it is, who may read it, what lies in it for a moment, and whether its database is whole."""
