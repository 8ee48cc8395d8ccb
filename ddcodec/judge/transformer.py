"""A small vision transformer (Dosovitskiy et al., arXiv 2010.11929), its norms before the blocks.

Images become 16 to 64 patches, whatever their size: 2 pixels a side at 8, 4 at 32, 8 at 64.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 128
HEADS = 4
DEPTH = 4
WIDEN = 2  # of the hidden layer in a block
ACROSS = 8  # patches along the longer side


class Attention(nn.Module):
    """Self-attention of all places with ``HEADS`` heads."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, places, WIDTH) for the same."""
        count, places, _ = x.shape
        parts = self.ask(x).view(count, places, 3, HEADS, WIDTH // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.out(seen.transpose(1, 2).reshape(count, places, WIDTH))
        return mixed


class Block(nn.Module):
    """Attention, then two layers for each place, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(WIDTH), Attention())
        self.think = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDEN * WIDTH),
            nn.GELU(),
            nn.Linear(WIDEN * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, places, WIDTH) for the same."""
        x = x + self.attend(x)
        out: Tensor = x + self.think(x)
        return out


class Transformer(nn.Module):
    """Patches, learned places, ``DEPTH`` blocks, the mean over places, a linear head."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.patch = max(2, -(-max(height, width) // ACROSS))
        # Zeros fill the last row and column of patches.
        self.fill = (0, -width % self.patch, 0, -height % self.patch)
        places = -(-height // self.patch) * -(-width // self.patch)
        self.cut = nn.Conv2d(channels, WIDTH, self.patch, self.patch)
        self.places = nn.Embedding(places, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)), nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of preprocessed images float (N, C, H, W)."""
        tokens = self.cut(F.pad(x, self.fill)).flatten(2).transpose(1, 2)
        place = torch.arange(tokens.shape[1], device=x.device)
        logits: Tensor = self.head(self.blocks(tokens + self.places(place)).mean(1))
        return logits
