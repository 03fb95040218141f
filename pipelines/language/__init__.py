"""Words to words: chat, writing and code with a causal language model."""
