"""Words to pictures with a diffusion model."""
