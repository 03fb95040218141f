"""Words to speech, and a description to music."""
