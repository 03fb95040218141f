"""How the starter models that ship with the program were made."""
