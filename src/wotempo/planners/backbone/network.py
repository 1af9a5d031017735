"""TransFuser-style backbone: two ResNets, camera and LiDAR, that exchange tokens after every stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.planners.backbone.batch_norm import FrameBatchNorm
from wotempo.planners.config import ModelConfig


def resnet(config: ModelConfig, in_channels: int) -> ResNet:
    """timm's ResNet without classifier: conv1, bn1, act1, maxpool, layer1..4."""
    norm = type("FrameBatchNorm", (FrameBatchNorm,), {"kind": config.batch_norm})
    net = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm annotates an instance where it takes the class
        config.stage_blocks,
        num_classes=0,
        in_chans=in_channels,
        stem_type="deep",
        stem_width=config.stem_channels // 2,
        channels=config.stage_channels,
        zero_init_last=config.zero_init_last,
        norm_layer=norm,
    )
    # timm ties the 7×7 stem to 64 channels. Of its deep stem only the width is wanted.
    stem = nn.Conv2d(in_channels, config.stem_channels, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    net.conv1 = stem  # type: ignore[assignment]
    return net


class SelfAttention(nn.Module):
    """Multi-head self-attention with separate projections."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.key = nn.Linear(channels, channels)
        self.query = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)
        self.resid_drop = nn.Dropout(dropout)
        self.heads = heads
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(F, L, C) -> (F, L, C)."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.resid_drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """Pre-norm transformer block with a ReLU MLP."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(channels)
        self.ln2 = nn.LayerNorm(channels)
        self.attn = SelfAttention(channels, heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.ReLU(), nn.Linear(4 * channels, channels), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class FusionTransformer(nn.Module):
    """Camera and LiDAR tokens attend to each other."""

    def __init__(self, channels: int, tokens: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, tokens, channels))
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(channels, heads, dropout) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor]:
        """image (F, C, h, w), lidar (F, C, r, c) -> the same shapes."""
        tokens = torch.cat((image.flatten(2), lidar.flatten(2)), 2).transpose(1, 2)  # image first, row-major
        tokens = self._attended(tokens, self.pos_emb)
        image_out, lidar_out = tokens.split((image.shape[2] * image.shape[3], lidar.shape[2] * lidar.shape[3]), 2)
        return image_out.reshape(image.shape), lidar_out.reshape(lidar.shape)

    def lidar_alone(self, lidar: Tensor) -> Tensor:
        """The same layers where there is no camera: LiDAR tokens, at their own places, attend to each other only.
        lidar (F, C, r, c) -> the same shape."""
        tokens = lidar.flatten(2).transpose(1, 2)
        return self._attended(tokens, self.pos_emb[:, -tokens.shape[1] :]).reshape(lidar.shape)

    def _attended(self, tokens: Tensor, position: Tensor) -> Tensor:
        """(F, L, C) -> (F, C, L)."""
        return self.ln_f(self.blocks(self.drop(tokens + position))).transpose(1, 2)


def resize_like(x: Tensor, target: Tensor) -> Tensor:
    return F.interpolate(x, size=target.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Fuse:
    """A fusion stage inside the backbone: ``after`` which ResNet stage (1-4), what makes the maps of F frames those of
    B samples ((F, C, H, W) -> (B, C, H, W)), and which frames are the samples' ``current`` ones (B,) int64."""

    after: int
    maps: Callable[[Tensor], Tensor]
    current: Tensor


class Backbone(nn.Module):
    """Frames -> the LiDAR branch's last map, which has taken in the camera."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = config.stage_channels
        tokens = config.image_tokens[0] * config.image_tokens[1] + config.cells
        self.image_encoder = resnet(config, 3)
        self.lidar_encoder = resnet(config, 1)
        self.transformers = nn.ModuleList(
            FusionTransformer(c, tokens, config.gpt_layers, config.gpt_heads, config.dropout) for c in channels
        )
        self.lidar_channel_to_img = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        self.img_channel_to_lidar = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        self.avgpool_img = nn.AdaptiveAvgPool2d(config.image_tokens)
        self.avgpool_lidar = nn.AdaptiveAvgPool2d(config.bev_shape)

    def forward(self, camera: Tensor, lidar: Tensor, fuse: Fuse | None = None) -> Tensor:
        """camera (K, 3, H, W), lidar (F, 1, R, C), both in [0, 1] -> (F, C, rows, cols) on the BEV grid.

        The images are those of the first K ≤ F frames; the others are seen by LiDAR alone: no image branch, and no
        image tokens in the exchange. All go through the LiDAR branch together, so its batch norms see in training the
        mixture that their running statistics stand for in driving.

        ``fuse`` replaces the LiDAR maps of all frames by the fused ones of the B samples after its stage; what follows
        is computed for the current frames alone -> (B, C, rows, cols).
        """
        image_net, lidar_net = self.image_encoder, self.lidar_encoder
        # Channels last: the resampling and pooling between the convolutions is several times faster.
        camera = camera.contiguous(memory_format=torch.channels_last)
        lidar = lidar.contiguous(memory_format=torch.channels_last)
        image = image_net.maxpool(image_net.act1(image_net.bn1(image_net.conv1(camera)))) if len(camera) else camera
        bev = lidar_net.maxpool(lidar_net.act1(lidar_net.bn1(lidar_net.conv1(lidar))))
        for stage in range(4):
            name = f"layer{stage + 1}"
            bev = getattr(lidar_net, name)(bev)
            tokens = self.lidar_channel_to_img[stage](self.avgpool_lidar(bev))
            exchange, updates = cast("FusionTransformer", self.transformers[stage]), []
            if len(camera):
                image = getattr(image_net, name)(image)
                image_update, update = exchange(self.avgpool_img(image), tokens[: len(image)])
                updates.append(update)
                if stage < 3:  # nothing reads the camera's last map
                    image = image + resize_like(image_update, image)
            if len(image) < len(tokens):
                updates.append(exchange.lidar_alone(tokens[len(image) :]))
            update = torch.cat(updates) if len(updates) > 1 else updates[0]
            bev = bev + resize_like(self.img_channel_to_lidar[stage](update), bev)
            if fuse is not None and fuse.after == stage + 1:
                image, bev = image[fuse.current], fuse.maps(bev)
        return bev
