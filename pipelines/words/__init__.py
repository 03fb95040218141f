"""Plain words everyone shares: what a text may be, samplers and programming languages by name. The standard library alone."""
