"""A model measured on labelled images."""
