"""How a text becomes a picture: ink, shape, crop, paper, light and wear."""
