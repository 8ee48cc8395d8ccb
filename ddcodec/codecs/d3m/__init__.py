"""D3M: prompts for a diffusion model. Imports ``codecs.shared`` and rooms below ``codecs``."""
