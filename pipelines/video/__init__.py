"""Words to a clip: diffusion along a timeline."""
