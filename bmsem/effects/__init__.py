"""Direct, indirect, total and contextual effects, and whether they matter."""
