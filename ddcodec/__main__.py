"""``python -m ddcodec`` is the ``ddcodec`` command."""

from __future__ import annotations

import sys

from ddcodec_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
