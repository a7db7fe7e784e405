"""Ways through the latent space of a generative model."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t (0 to 1) on the arc from vector a to b (Shoemake 1985), its length going from |a| to |b|.

    Vectors that are all but parallel are joined by a straight line. For opposite ones there are many arcs: one is taken
    through a fixed direction, so that no point is zero. Angles are computed in double precision: near to opposite
    vectors the cosine tells nothing of them in single precision.
    """
    return _slerp(a.double(), b.double(), t).to(a.dtype)


def _slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    length_a, length_b = a.norm(), b.norm()
    if not length_a or not length_b:
        return torch.lerp(a, b, t)
    u, v = a / length_a, b / length_b
    cosine = (u * v).sum().clamp(-1, 1)
    omega = torch.acos(cosine)
    if omega.sin() > 1e-4:
        direction = (torch.sin((1 - t) * omega) * u + torch.sin(t * omega) * v) / omega.sin()
    elif cosine > 0:
        direction = torch.lerp(u, v, t)
    else:
        direction = math.cos(math.pi * t) * u + math.sin(math.pi * t) * _perpendicular(u)
    return direction * torch.lerp(length_a, length_b, t)


def _perpendicular(u: Tensor) -> Tensor:
    """A unit vector at a right angle to the unit vector u: the axis farthest from it, without its part along u."""
    axis = torch.zeros_like(u)
    axis.view(-1)[u.abs().argmin()] = 1
    across = axis - (axis * u).sum() * u
    return across / across.norm()


def walk(anchors: Tensor, frames: int) -> Tensor:
    """`frames` points on the closed way through the anchors (A, nz): (frames, nz)."""
    points = []
    for frame in range(frames):
        leg, t = divmod(frame * len(anchors) / frames, 1)
        points.append(slerp(anchors[int(leg)], anchors[(int(leg) + 1) % len(anchors)], t))
    return torch.stack(points)


def plane(corners: Tensor, steps: int) -> Tensor:
    """Points between four corners, row by row: (4, nz) -> (steps * steps, nz)."""
    t = torch.linspace(0, 1, steps, device=corners.device).view(-1, 1)
    top, bottom = torch.lerp(corners[0], corners[1], t), torch.lerp(corners[2], corners[3], t)
    return torch.lerp(top, bottom, t.unsqueeze(1)).flatten(0, 1)


def normal_plane(nz: int, across: int, down: int, steps: int) -> Tensor:
    """Points over two dimensions of a standard normal distribution, row by row: (steps * steps, nz).

    Each goes through its quantiles at (i + 1/2) / steps, as many points where there is much as where there is little
    (Kingma & Welling 2014, figure 4); `across` rises from left to right, `down` from top to bottom, all others are 0.
    """
    quantiles = torch.special.ndtri((torch.arange(steps) + 0.5) / steps)
    points = torch.zeros(steps, steps, nz)
    points[:, :, across] = quantiles
    points[:, :, down] = quantiles.view(-1, 1)
    return points.flatten(0, 1)
