"""The reward model: how good each trajectory is, from what was imagined for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RewardConvNet(nn.Module):
    """Two convolutions over all maps of a trajectory, present and imagined, then the mean over cells."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, scene: Tensor, action: Tensor, splat: Tensor, cells: tuple[int, ...], futures: Tensor) -> Tensor:
        """scene (B, C, r, c) the present map · action (B, N, C), added to it for each trajectory and spread as splat
        (r, c), which is zero but in ``cells`` (row-major) · futures (B, N, K·C, r, c) -> (B, N, C).

        conv1 reads the channels [present, futures]. All trajectories share the present map but for the splat, and a
        convolution is linear: its part is computed once per sample, that of the splat as the kernel's response to it,
        on the cells that it reaches.
        """
        now, later = self.conv1.weight.split((action.shape[-1], futures.shape[2]), 1)
        x = F.conv2d(futures.flatten(0, 1), later, padding=1)
        x_bnorc = x.unflatten(0, action.shape[:2])
        x_bnorc += F.conv2d(scene, now, self.conv1.bias, padding=1)[:, None]
        rows, cols = _reach(cells, *splat.shape)
        response = F.conv2d(splat[None, None], now.flatten(0, 1)[:, None], padding=1)[0, :, rows, cols]
        added = torch.einsum("bni,oirc->bnrco", action, response.unflatten(0, now.shape[:2]).to(action.dtype))
        x_bnorc[..., rows, cols] += added.permute(0, 1, 4, 2, 3)
        x = F.relu(self.bn1(x), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True).mean((-2, -1)).unflatten(0, action.shape[:2])


def _reach(cells: tuple[int, ...], rows: int, cols: int) -> tuple[slice, slice]:
    """The rows and columns in which a 3×3 kernel sees one of the cells."""
    used_rows, used_cols = [cell // cols for cell in cells], [cell % cols for cell in cells]
    return (
        slice(max(0, min(used_rows) - 1), min(rows, max(used_rows) + 2)),
        slice(max(0, min(used_cols) - 1), min(cols, max(used_cols) + 2)),
    )


def final_score(im_logits: Tensor, sim_logits: Tensor, weights: tuple[float, ...]) -> Tensor:
    """The score that inference maximises (paper, eq. 4; higher is better):
    0.1·ln im + 0.5·ln NC + 0.5·ln DAC + ln(5·TTC + 2·C + 5·EP), with the published weights of its four terms.

    im_logits (B, N), sim_logits (B, 5, N) in the order NC, DAC, EP, TTC, comfort -> (B, N). From logits, because the
    logarithm of a probability that has underflowed is no number to compare.
    """
    nc, dac, ep, ttc, comfort = sim_logits.unbind(1)
    weighted = 5 * ttc.sigmoid() + 2 * comfort.sigmoid() + 5 * ep.sigmoid()
    terms = (im_logits.log_softmax(-1), F.logsigmoid(nc), F.logsigmoid(dac), weighted.log())
    return torch.stack([weight * term for weight, term in zip(weights, terms, strict=True)]).sum(0)
