"""The network, its card, the file of both, and the registry of models."""
