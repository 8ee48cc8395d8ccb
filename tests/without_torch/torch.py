"""Stands in the way where torch is not installed: the test that asks for it is skipped."""

import os
import sys
from pathlib import Path

if "pytest" in sys.modules:
    sys.modules["pytest"].skip("needs torch", allow_module_level=True)
# A process that a test has started: the plugin beside this file looks for the mark.
Path(os.environ["ASKED_FOR_TORCH"]).touch()
raise ModuleNotFoundError("No module named 'torch'", name="torch")
