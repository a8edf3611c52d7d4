"""A model handed to other programs, and the proof that it reads the same there."""
