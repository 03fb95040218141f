"""The tabs of the page, one module each with `build(studio)`; `frame.py` is what they share."""
