"""The page: a module for each tab with `build(studio)`, and the frame, forms and looks they share."""
