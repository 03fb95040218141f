"""What a stranger could bring, made by a script with fixed seeds: `python3 launch.py bench hostile`."""
