"""Anyone's images as they are. Imports ``codecs.shared`` and rooms below ``codecs``."""
