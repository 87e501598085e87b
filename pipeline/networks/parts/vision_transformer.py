"""Vision transformer (Dosovitskiy et al., An image is worth 16×16 words, ICLR 2021), as DINOv2 uses it.

An image is cut into patches, each of which is a token; one more token stands for the whole image. Blocks let tokens
look at each other (attention) and think by themselves (two full layers), each behind a layer normalisation and times a
learned factor for each number (LayerScale: Touvron et al., ICCV 2021) before it is added to what came in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

EPSILON = 1e-6  # of layer normalisation
OFFSET = 0.1  # of a patch, by which DINOv2's positions are stretched too far; its weights are used to that


@dataclass(frozen=True)
class Size:
    """What tells members of the family apart.

    Attributes:
        patch: side of a patch in pixels.
        grid: patches a side, of the images that positions were learned on.
        width: numbers a token.
        depth: blocks.
        heads: of attention, each on its share of a token's numbers.
    """

    patch: int
    grid: int
    width: int
    depth: int
    heads: int


#: DINOv2's small one (Oquab et al., 2023, table 16): positions are of images of 518×518.
SMALL_14 = Size(patch=14, grid=37, width=384, depth=12, heads=6)


class Attention(nn.Module):
    """Every token takes from all tokens, the more the better its query fits their keys; several times side by side."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → same."""
        batch, count, width = tokens.shape
        split = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        taken = nn.functional.scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.proj(taken.transpose(1, 2).reshape(batch, count, width))
        return out


class Scale(nn.Module):
    """A factor for each number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, width) → same."""
        return x * self.gamma


class Mlp(nn.Module):
    """Two full layers with a GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, width) → same."""
        out: torch.Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention, then full layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.ls1 = Scale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width)
        self.ls2 = Scale(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → same."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        out: torch.Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return out


class Patches(nn.Module):
    """From an image to its patches as tokens."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) → (B, width, H / patch, W / patch), rounded down; pixels that are left over are not seen."""
        found: torch.Tensor = self.proj(x)
        return found


class VisionTransformer(nn.Module):
    """The network without a classifier: what comes out is the token that stands for the whole image."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + size.grid**2, size.width))
        self.patch_embed = Patches(size.patch, size.width)
        self.blocks = nn.Sequential(*(Block(size.width, size.heads) for _ in range(size.depth)))
        self.norm = nn.LayerNorm(size.width, eps=EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) → (B, width)."""
        patches = self.patch_embed(x)
        placed = (patches + self._positions(patches.shape[2], patches.shape[3])).flatten(2).transpose(1, 2)
        whole = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        tokens: torch.Tensor = self.norm(self.blocks(torch.cat([whole, placed], dim=1)))
        return tokens[:, 0]

    def _positions(self, height: int, width: int) -> torch.Tensor:
        """What is added to the patches of a grid, (1, width, height, width'): as learned, or stretched to that grid."""
        grid = self.size.grid
        learned = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (grid, grid))
        if (height, width) == (grid, grid):
            return learned
        factors = ((height + OFFSET) / grid, (width + OFFSET) / grid)
        return nn.functional.interpolate(learned.float(), scale_factor=factors, mode="bicubic")
