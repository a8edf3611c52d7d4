"""How a text becomes an image: ink, geometry and crop, background, degradations."""
