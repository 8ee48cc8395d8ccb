"""LIC: squeezed images. Imports ``codecs.shared`` and rooms below ``codecs``."""
