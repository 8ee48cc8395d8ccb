"""The version of the package; that of the format is in ``format.manifest``."""

__version__ = "0.1.0"
