"""What a user may choose of a poster encode: defaults, checks, and the words of the command."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...distill.augment import AUGMENTATIONS
from ...distill.truncation import TRUNCATIONS, Truncation
from ...errors import UsageError
from ...format.rules_podd import POOLINGS
from ...preprocess import KINDS
from .poster import EVEN, PER_CLASS
from .precision import Precision, check_choice, quality_bits

PROFILES = ("paper", "quick")
ORIGINS = {"even": EVEN, "per-class": PER_CLASS}
MOST_META_BATCHES = 4096
NAMES = {"activations": "precision"}  # options that are called otherwise than their field


@dataclass(frozen=True)
class PoDDOptions:
    """The choices of an encode, all but the budget; what is ``auto`` or None the plan decides.

    Each field is the option of ``ddcodec encode`` of that name (but for ``NAMES``), in the order in
    which a file's command lists them; ``encoder.encode`` says what they mean. Raises UsageError for
    a value that no data set could take.
    """

    profile: str = "quick"
    order: str = "auto"
    class_grid: tuple[int, int] | None = None
    labels: str = "auto"
    label_pooling: str = "auto"
    origins: str = "even"
    augment: str = "auto"
    patches: tuple[int, int] | None = None
    preprocessing: str = "auto"
    quality: str = "high"
    aware: float | None = None
    truncation: Truncation = "random"
    meta_batches: int = 1
    activations: str = "auto"
    size: int | None = None
    steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for option, value, known in (
            ("--profile", self.profile, PROFILES),
            ("--labels", self.labels, ("auto", "fixed", "learned")),
            ("--label-pooling", self.label_pooling, ("auto", *POOLINGS)),
            ("--origins", self.origins, tuple(ORIGINS)),
            ("--augment", self.augment, ("auto", *AUGMENTATIONS)),
            ("--preprocessing", self.preprocessing, ("auto", *KINDS)),
            ("--truncation", self.truncation, TRUNCATIONS),
            ("--precision", self.activations, ("auto", "float32", "bfloat16")),
        ):
            check_choice(option, value, known)
        if self.aware is not None and not 0 <= self.aware <= 1:
            raise UsageError(f"--aware is a share of the steps, 0 to 1, got {self.aware:g}")
        if self.truncation != "random" and self.profile != "paper":
            raise UsageError("--truncation belongs to --profile paper; quick has short inner runs")
        if not 1 <= self.meta_batches <= MOST_META_BATCHES:
            raise UsageError(
                f"--meta-batches must be 1 to {MOST_META_BATCHES} over all processes, "
                f"got {self.meta_batches}"
            )

    @property
    def rule(self) -> str:
        """The rule for patch origins, as files name it."""
        return ORIGINS[self.origins]

    @property
    def precision(self) -> Precision:
        """How poster and labels are stored."""
        return Precision(*quality_bits(self.quality))

    def words(self) -> list[str]:
        """Return the words of a command line that asks for the same, without steps and seed.

        Options at their defaults are left out, but for the profile: what ``auto`` stands for
        depends on the machine.
        """
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("steps", "seed"):
                continue
            if value != field.default or field.name == "profile":
                words += ["--" + NAMES.get(field.name, field.name.replace("_", "-")), _word(value)]
        return words


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    # A path says where a file lay on one machine; its name is enough to recognise it.
    return Path(value).name if isinstance(value, str) else f"{value:.12g}"
