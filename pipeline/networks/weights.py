"""Starting weights: from timm's hub or its cache, from a file, or from a folder such as a mounted dataset.

Whoever asks for weights gets them or an error, never a network that is silently random.
"""

import difflib
from pathlib import Path

import timm
import torch
from torch import nn

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.config.groups import ModelConfig
from pipeline.networks.freeze import flat_name, head_ids
from pipeline.networks.hub import hub_answers, needs_hub

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Files of weights, the safest format first."""
WRAPPERS = ("state_dict", "model", "state")
"""Keys under which training programs keep the tensors, beside the optimiser and the epoch."""
SMALLEST_SHARE = 0.5
"""Share of the backbone's numbers below which a file is taken for another network's."""


def create(name: str, pretrained: bool = False, **options) -> nn.Module:
    """`timm.create_model`, with errors a user can act on.

    Parameters
    ----------
    pretrained : start from published weights, fetched from the hub or found in its cache.
    options : passed on.

    Raises
    ------
    UserError : unknown name (names the closest ones), or weights that cannot be had.
    """
    check_name(name)
    if pretrained and needs_hub(name):
        hub_answers()
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        if not pretrained:
            raise
        raise UserError(
            f"no pretrained weights for {name} could be had ({reason(error)}): give a local file or folder "
            "with --model.weights PATH, fetch them once where there is a network so that the cache holds "
            "them, or train from scratch with --model.no-pretrained"
        ) from error


def check_published(config: ModelConfig) -> None:
    """Raise UserError where `config` asks for published weights that can be had neither from the hub, which
    is asked once, nor from its cache."""
    if config.pretrained and config.weights is None and needs_hub(config.name) and not hub_answers():
        create(config.name, pretrained=True)


def check_name(name: str) -> None:
    """Raise UserError, with the closest names there are, where timm knows no network called `name`."""
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() lists them"
        raise UserError(f"no model is called {name!r}: {hint}")


def reason(error: Exception) -> str:
    """First line of an exception's message, or what it is called where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def resolve_weights(place: str, model_name: str) -> Path:
    """The weights file that `place` means: itself, or the one for `model_name` in that folder.

    A folder is searched with all its folders for ``<model_name>*.safetensors``, .pth, .pt or .bin, then for
    weights in a folder named after the model, as the hub lays them out, then for any. Of several formats in
    one folder safetensors is taken.

    Raises
    ------
    UserError : no such place, no weights in it, or several that might be meant; names them.
    """
    path = Path(place).expanduser()
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"the weights file {path} does not exist; check --model.weights")
        if not path.is_file():
            raise UserError(f"the weights file {path} is a pipe or a device; check --model.weights")
        return path
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    base = model_name.split(".")[0]
    by_file = [file for file in files if _names(file.stem, base)]
    by_folder = [file for file in files if any(_names(part, base) for part in _parts(file, path))]
    found = by_file or by_folder or files
    found = [file for file in found if file.stem in (base, model_name)] or found
    folders_with_safe = {file.parent for file in found if file.suffix == SUFFIXES[0]}
    found = [file for file in found if file.suffix == SUFFIXES[0] or file.parent not in folders_with_safe]
    if not found:
        raise UserError(
            f"found no weights in {path}: looked for {base}*{{{','.join(SUFFIXES)}}} or any one file with "
            "these suffixes, in all its folders; check --model.weights"
        )
    if len(found) > 1:
        names = name_some([file.relative_to(path) for file in found])
        raise UserError(
            f"{path} has {len(found)} files that could be the weights of {base}: {names}; "
            "give one of them as --model.weights"
        )
    return found[0]


def _parts(file: Path, root: Path) -> list[str]:
    """Names of the folders between `root` and `file`, without the hub's ``models--<owner>--``."""
    return [part.rpartition("--")[2] for part in file.relative_to(root).parts[:-1]]


def _names(text: str, base: str) -> bool:
    """Whether a file or folder is named after a model: resnet18-5c1 and resnet18_a1 are resnet18's,
    resnet18d is not."""
    return text.startswith(base) and not text[len(base) : len(base) + 1].isalnum()


def load_weights(model: nn.Module, path: Path, prefix: str = "") -> None:
    """Load the tensors of a checkpoint file that fit `model` by name and shape, and say what was skipped.

    The file may be timm's, a bare state dict, or a run's own last.pt or best.pt; a classifier's file fits the
    encoder made of it. A kernel larger than an adapted stem's is cut to its middle, as `adapt_stem` would. A
    classifier for other classes is skipped.

    Parameters
    ----------
    prefix : put before the names in the file, for an encoder inside `model`, such as ``encoder.``; a name
        that `model` has as it stands is taken as it stands.

    Raises
    ------
    UserError : the file is missing, no checkpoint, or fits nothing or little of the network but its head.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(prefix)}
    state = _renamed(_read(path), own, prefix)
    for name, value in state.items():
        if value.shape[2:] in ((5, 5), (7, 7)) and name in own and own[name].shape[2:] == (3, 3):
            state[name] = central(value, 3)
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise UserError(
            f"nothing in {path} fits the model: {len(state)} tensors, none with its names and shapes"
        )
    _check_backbone(model, own, fitting, path)
    model.load_state_dict(fitting, strict=False)
    missing = sorted(set(own) - set(fitting))
    unused = sorted(set(state) - set(fitting))
    say(f"weights: {len(fitting)} of {len(own)} tensors from {path}")
    if missing:
        say(f"  not in the file, so left as initialised: {name_some(missing)}")
    if unused:
        say(f"  in the file but not used: {name_some(unused)}")


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, unpacked from what is around them. Nothing in it is executed."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"the weights file {path} does not exist; check --model.weights") from None
    except Exception as error:
        raise UserError(f"{path} is no checkpoint of tensors ({reason(error)})") from error
    for key in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, not a dictionary of tensors")
    return {
        str(name).removeprefix("module.").removeprefix("_orig_mod."): value
        for name, value in state.items()
        if torch.is_tensor(value)
    }


def _renamed(
    state: dict[str, torch.Tensor], own: dict[str, torch.Tensor], prefix: str
) -> dict[str, torch.Tensor]:
    """The file's tensors under the model's names, where the model knows them."""
    flat = {flat_name(name.removeprefix(prefix)): name for name in own}
    result = {}
    for name, value in state.items():
        known = name if name in own else prefix + name
        result[known if known in own else flat.get(flat_name(name), name)] = value
    return result


def _check_backbone(
    model: nn.Module, own: dict[str, torch.Tensor], fitting: dict[str, torch.Tensor], path: Path
) -> None:
    heads = head_ids(model)
    numbers = {
        name: parameter.numel() for name, parameter in model.named_parameters() if id(parameter) not in heads
    }
    wanted = sum(count for name, count in numbers.items() if name in own)
    loaded = sum(count for name, count in numbers.items() if name in fitting)
    if loaded < SMALLEST_SHARE * wanted:
        raise UserError(
            f"{path} fits only {100 * loaded / wanted:.0f} % of the backbone ({len(fitting)} of {len(own)} "
            "tensors): is it the checkpoint of another network? Give its name with --model.name"
        )


def central(kernel: torch.Tensor, side: int) -> torch.Tensor:
    """The middle of a square kernel (O, I, K, K), K odd and at least `side`: (O, I, side, side)."""
    margin = (kernel.shape[-1] - side) // 2
    return kernel[..., margin : margin + side, margin : margin + side].contiguous()
