"""Labeled synthetic images of text: texts, fonts, rendering, and the folder they are written to."""
