"""What a pipeline runs in: its context, the device, and the ladder it climbs down when memory runs out."""
