"""Files by their address on the Hugging Face hub, and what goes wrong there in one line.

``local`` is what every reading call passes its path through. The hub's client is imported only for
an address: naming one is the consent to use the network.
"""

from __future__ import annotations

from .address import Address, is_address
from .local import local

__all__ = ["Address", "is_address", "local"]
