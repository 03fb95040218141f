"""The command line behind `launch.py`: a module for each command, and the one table that names them."""
