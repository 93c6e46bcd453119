"""A network by timm name, with a stem that fits small images, a head for the classes, and weights or none."""

import difflib
from pathlib import Path

import timm
import torch
from torch import nn

import pipeline.models.cifarnet  # noqa: F401  registers podium_cifarnet with timm
from pipeline.config import ModelConfig
from pipeline.errors import UserError, name_some
from pipeline.progress import say

SMALL_IMAGE = 64
"""Inputs below this side keep full resolution in the stem: networks made for 224 pixels would shrink them
away."""


def build_classifier(config: ModelConfig, num_classes: int, load: bool = True) -> nn.Module:
    """Build the network `config` names, with `num_classes` outputs.

    Parameters
    ----------
    load : whether to load the starting weights; False where a checkpoint replaces them anyway.

    Raises
    ------
    UserError : unknown name (names the closest ones), weights that cannot be had or that fit nowhere, a
        network that cannot work on small images.
    """
    if not timm.is_model(config.name):
        close = difflib.get_close_matches(config.name, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() lists them"
        raise UserError(f"no model is called {config.name!r}: {hint}")
    pretrained = load and config.pretrained and config.weights is None
    options = _size_options(config.name, config.image_size)
    try:
        model = timm.create_model(
            config.name, pretrained=pretrained, num_classes=num_classes, drop_rate=config.drop_rate, **options
        )
    except Exception as error:
        if not pretrained:
            raise
        raise UserError(_no_weights(config.name, error)) from error
    if config.image_size < SMALL_IMAGE:
        adapt_stem(model)
        _try_out(model, config)
    if load and config.weights is not None:
        load_weights(model, Path(config.weights))
    return model


@torch.inference_mode()
def _try_out(model: nn.Module, config: ModelConfig) -> None:
    """Run one blank image. Some networks have a fixed feature size deep inside, which shows only now."""
    try:
        model.eval()(torch.zeros(1, 3, config.image_size, config.image_size))
    except Exception as error:
        raise UserError(
            f"{config.name} cannot work on images of {config.image_size} pixels "
            f"({_reason(error)}): raise --model.image-size or choose another network"
        ) from error
    model.train()


def _size_options(name: str, image_size: int) -> dict:
    """Arguments that tell a fixed-size architecture (a transformer) its input size, and a patch size that
    fits it."""
    if not timm.get_pretrained_cfg(name).fixed_input_size:
        return {}
    options: dict = {"img_size": image_size}
    if image_size < SMALL_IMAGE and "patch" in name:
        options["patch_size"] = max(1, image_size // 8)
    return options


def _no_weights(name: str, error: Exception) -> str:
    return (
        f"no pretrained weights for {name} could be had ({_reason(error)}): give a local file with "
        "--model.weights PATH, fetch them once where there is a network so that the cache holds them, or "
        "train from scratch with --model.no-pretrained"
    )


def _reason(error: Exception) -> str:
    """First line of the message, or what the error is called where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def adapt_stem(model: nn.Module) -> None:
    """Let a network made for large images see small ones at full resolution, where its first layers allow it.

    A strided first convolution gets stride 1 (a 7 x 7 one also shrinks to its central 3 x 3, keeping the
    weights there), and the max pool after it goes. Networks with stride 1 already, patches as their stem, or
    a feature size fixed by the input size (transformers) are left alone.
    """
    names = model.pretrained_cfg.get("first_conv") or ()
    # A stem of parallel branches has several first convolutions, one of them often 1 x 1.
    convs = [model.get_submodule(name) for name in ([names] if isinstance(names, str) else names)]
    adaptable = all(
        isinstance(conv, nn.Conv2d) and max(conv.stride) > 1 and conv.kernel_size[0] in (1, 3, 5, 7)
        for conv in convs
    )
    if not convs or not adaptable or model.pretrained_cfg.get("fixed_input_size"):
        return
    for conv in convs:
        if conv.kernel_size[0] > 3:
            conv.weight = nn.Parameter(_central(conv.weight.detach(), 3))
            conv.kernel_size = (3, 3)
            conv.padding = (1, 1)
        conv.stride = (1, 1)
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        model.maxpool = nn.Identity()


def _central(kernel: torch.Tensor, side: int) -> torch.Tensor:
    """The middle of a square kernel (O, I, K, K), K odd and at least `side`."""
    margin = (kernel.shape[-1] - side) // 2
    return kernel[..., margin : margin + side, margin : margin + side].contiguous()


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the tensors of a checkpoint file that fit `model` by name and shape, and say what was skipped.

    The file may be timm's, a bare state dict, or a run's own last.pt or best.pt. A kernel larger than an
    adapted stem's is cut to its middle, as `adapt_stem` would.

    Raises
    ------
    UserError : the file is missing, no checkpoint, or has nothing that fits.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"the weights file {path} does not exist; check --model.weights") from None
    except Exception as error:
        raise UserError(f"{path} is no checkpoint of tensors ({_reason(error)})") from error
    for key in ("state_dict", "model", "state"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, not a dictionary of tensors")
    state = {
        str(name).removeprefix("module."): value for name, value in state.items() if torch.is_tensor(value)
    }
    own = model.state_dict()
    for name, value in state.items():
        if value.shape[2:] in ((5, 5), (7, 7)) and name in own and own[name].shape[2:] == (3, 3):
            state[name] = _central(value, 3)
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise UserError(
            f"nothing in {path} fits the model: {len(state)} tensors, none with its names and shapes"
        )
    model.load_state_dict(fitting, strict=False)
    missing = sorted(set(own) - set(fitting))
    unused = sorted(set(state) - set(fitting))
    say(f"weights: {len(fitting)} of {len(own)} tensors from {path}")
    if missing:
        say(f"  not in the file, so left as initialised: {name_some(missing)}")
    if unused:
        say(f"  in the file but not used: {name_some(unused)}")
