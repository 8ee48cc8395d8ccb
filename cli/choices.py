"""The words that options take."""

from __future__ import annotations

from typing import Literal

Profile = Literal["auto", "quick", "paper"]
Selection = Literal["auto", "loss", "crops", "random"]
Precision = Literal["auto", "float32", "bfloat16"]
Pooling = Literal["auto", "area", "cell"]
Preprocessing = Literal["auto", "none", "standardise", "conv_whiten"]
Origins = Literal["even", "per-class"]
Tokens = Literal["learned", "names"]
Scheduler = Literal["ddim", "dpm_solver"]
ModelType = Literal["auto", "float32", "float16", "bfloat16"]
StageStart = Literal["copy", "noise", "blend"]
Truncation = Literal["random", "adaptive"]
Direction = Literal["as-printed", "recent"]
