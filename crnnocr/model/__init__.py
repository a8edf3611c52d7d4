"""The network, its file, and the place where models are kept."""
