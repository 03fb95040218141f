"""What the memory manager is worth, measured: `python3 launch.py bench memory`."""
