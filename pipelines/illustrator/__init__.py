"""The illustrator: reads a prompt into a motif and paints it with shapes. No network, no weights, no torch.

`words` and `reader` understand the prompt, `motif` settles what was left open, `painter` draws it, `engine` and `film` answer
requests. The brush, the colours, the shapes and the words are also those of the pictures that `starter/image` learns from.
"""
