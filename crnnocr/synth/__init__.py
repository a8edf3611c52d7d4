"""Labelled pictures of text, drawn: texts, fonts, rendering, and the folder they are written to."""
