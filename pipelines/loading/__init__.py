"""ModelSpec → components to borrow: diffusion, language and sound models, opened part by part."""
