"""Small diffusion language models."""
