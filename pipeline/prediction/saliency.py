"""Where a classifier looked: Grad-CAM (arXiv 1610.02391) on its last features."""

from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import nn

from pipeline.inputs.batches import Images, evaluation_batches
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess, as_picture
from pipeline.networks.joint import Joint

ALPHA = 0.55
"""Share of the heat's colour where it is greatest."""


def looked_at(
    model: nn.Module, images: Images, rows: np.ndarray, outputs: np.ndarray, preprocess: Preprocess
) -> list[np.ndarray] | None:
    """Images as the network gets them, with what spoke for an output laid over them.

    Parameters
    ----------
    model : in eval mode; a network of timm's, whose ``forward_head`` takes what ``forward_features`` gives.
    rows : which of the images.
    outputs : (N,) number of the output that each is asked about.

    Returns
    -------
    uint8 (S, S, 3) each; None where the network has no such two halves.
    """
    if not (hasattr(model, "forward_features") and hasattr(model, "forward_head")):
        return None
    device = next(model.parameters()).device
    ((_, batch),) = evaluation_batches(images, rows, preprocess, len(rows), Loaders(0, device))
    if isinstance(batch, Joint):
        return None
    heat = grad_cam(model, batch, torch.from_numpy(outputs).to(device))
    if heat is None:
        return None
    std, mean = (torch.tensor(values).view(1, -1, 1, 1) for values in (preprocess.std, preprocess.mean))
    shown = batch.cpu() * std + mean
    if not preprocess.deep:
        shown = (255 * shown.clamp(0, 1)).byte()
    pictures = shown.permute(0, 2, 3, 1).numpy()
    return [lay_over(as_picture(image), one) for image, one in zip(pictures, heat, strict=True)]


def grad_cam(model: nn.Module, images: torch.Tensor, outputs: torch.Tensor) -> np.ndarray | None:
    """How much each place of the last features speaks for an output: float32 (N, h, w), 0 to 1.

    Of a transformer, whose head may see its class token alone, the weights are the sum over all tokens.
    None where the features have no places.
    """
    network = cast(Any, model)
    with torch.no_grad():
        features = network.forward_features(images)
    if not torch.is_tensor(features) or features.ndim not in (3, 4):
        return None
    features = features.detach().requires_grad_()
    with torch.enable_grad():
        chosen = network.forward_head(features).gather(1, outputs[:, None]).sum()
        (slopes,) = torch.autograd.grad(chosen, features)
    features = features.detach()
    if features.ndim == 3:
        weights, tokens = slopes.sum(dim=1, keepdim=True), features
        tokens = tokens[:, getattr(network, "num_prefix_tokens", 0) :]
        side = round(tokens.shape[1] ** 0.5)
        if side * side != tokens.shape[1]:
            return None
        heat = (tokens * weights).sum(dim=2).view(len(tokens), side, side)
    else:
        last = features.shape[1] != network.num_features and features.shape[3] == network.num_features
        channel, places = (3, (1, 2)) if last else (1, (2, 3))
        heat = (features * slopes.mean(dim=places, keepdim=True)).sum(dim=channel)
    heat = heat.float().relu()
    heat = heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(heat.dtype).tiny)
    return heat.cpu().numpy()


def lay_over(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image uint8 (H, W, 3) with heat (h, w) from 0 to 1 over it, from its own colours to yellow."""
    size = (image.shape[1], image.shape[0])
    grown = cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colors = cv2.applyColorMap((255 * grown).astype("uint8"), cv2.COLORMAP_CIVIDIS)[..., ::-1]
    share = ALPHA * (0.35 + 0.65 * grown[..., None])
    return ((1 - share) * image + share * colors).round().astype("uint8")
