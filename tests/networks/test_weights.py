"""Starting weights are found where people keep them, fit what they can fit, and are never silently absent."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.base.errors import UserError
from pipeline.inputs.preprocess import Preprocess, eval_transform, normalise
from pipeline.networks.build import build_classifier
from pipeline.networks.weights import create, load_weights, resolve_weights
from pipeline.raw.images import read_rgb
from pipeline.tasks.classification.config import ModelConfig

SMALL = "test_resnet"
"""timm's own tiny network for tests."""


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class TestResolve:
    def test_a_file_is_itself_whatever_it_is_called(self, tmp_path):
        touch(tmp_path, "anything.ckpt")
        assert resolve_weights(str(tmp_path / "anything.ckpt"), "resnet18") == tmp_path / "anything.ckpt"

    @pytest.mark.parametrize(
        "names, found",
        [
            (["resnet18.pth", "resnet50.pth"], "resnet18.pth"),
            (["resnet18_a1-d63eafa0.pth", "resnet18d_ra2.pth"], "resnet18_a1-d63eafa0.pth"),
            (["a/b/resnet18.bin", "a/resnet34.pt"], "a/b/resnet18.bin"),
            (["resnet18.pth", "resnet18-old.pth"], "resnet18.pth"),
            (["resnet18.pth", "resnet18.safetensors"], "resnet18.safetensors"),
            (["resnet18.pth", "resnet50.safetensors"], "resnet18.pth"),
            (["whatever.pt", "notes.txt"], "whatever.pt"),
            (["model.safetensors", "pytorch_model.bin", "config.json"], "model.safetensors"),
            (
                [
                    "models--timm--resnet18.a1_in1k/snapshots/49140/model.safetensors",
                    "models--timm--resnet50.a1_in1k/snapshots/76720/model.safetensors",
                ],
                "models--timm--resnet18.a1_in1k/snapshots/49140/model.safetensors",
            ),
        ],
    )
    def test_a_folder_is_searched(self, tmp_path, names, found):
        touch(tmp_path, *names)
        assert resolve_weights(str(tmp_path), "resnet18.a1_in1k") == tmp_path / found

    def test_the_home_folder_may_be_abbreviated(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        touch(tmp_path, "w/resnet18.pth")
        assert resolve_weights("~/w", "resnet18") == tmp_path / "w" / "resnet18.pth"

    @pytest.mark.parametrize(
        "names, message",
        [
            (
                ["notes.txt"],
                r"found no weights in .*: looked for resnet18\*\{\.safetensors,\.pth,\.pt,\.bin\}",
            ),
            (
                ["a.pth", "b.pth"],
                r"has 2 files that could be the weights of resnet18: a\.pth, b\.pth; give one",
            ),
            (
                ["resnet18-1.pth", "resnet18-2.pth", "x.pth"],
                r"has 2 files .*: resnet18-1\.pth, resnet18-2\.pth;",
            ),
        ],
    )
    def test_none_or_several_are_one_sentence(self, tmp_path, names, message):
        touch(tmp_path, *names)
        with pytest.raises(UserError, match=message):
            resolve_weights(str(tmp_path), "resnet18")

    def test_a_place_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(
            UserError, match=r"the weights file .*gone does not exist; check --model\.weights"
        ):
            resolve_weights(str(tmp_path / "gone"), "resnet18")


class Wrapped(nn.Module):
    """An encoder inside a bigger network, as in a segmenter."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.encoder = timm.create_model(name, features_only=True)
        self.decoder = nn.Conv2d(8, 2, 3)

    @property
    def backbone(self) -> nn.Module:
        return self.encoder


class TestLoad:
    @pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "mobilenetv2_050", "vit_tiny_patch16_224"])
    @pytest.mark.parametrize("inside", [True, False])
    def test_a_classifiers_file_fills_the_encoder_made_of_it(self, tmp_path, capsys, name, inside):
        """timm calls the same layer stages.0 in one and stages_0 in the other."""
        torch.manual_seed(5)
        published = timm.create_model(name)
        for parameter in published.parameters():
            nn.init.normal_(parameter)  # no two alike, and none as a new network starts
        torch.save(published.state_dict(), tmp_path / "w.pth")
        model = Wrapped(name)
        untouched = model.decoder.weight.clone()
        load_weights(model if inside else model.encoder, tmp_path / "w.pth", "encoder." if inside else "")
        values = {(value.shape, value.double().sum().item()) for value in published.state_dict().values()}
        for key, value in model.encoder.state_dict().items():
            assert (value.shape, value.double().sum().item()) in values, key
        assert torch.equal(model.decoder.weight, untouched)
        count = len(model.encoder.state_dict())
        said = capsys.readouterr().err
        assert said.startswith(f"weights: {count} of {count} tensors") and "left as initialised" not in said

    def test_own_names_need_no_prefix(self, tmp_path):
        """A whole segmenter's checkpoint loads into a segmenter, also where a prefix was given."""
        saved, fresh = Wrapped(SMALL), Wrapped(SMALL)
        torch.save(saved.state_dict(), tmp_path / "w.pt")
        load_weights(fresh, tmp_path / "w.pt", prefix="encoder.")
        name = next(iter(dict(fresh.encoder.named_parameters())))
        assert torch.equal(fresh.encoder.get_parameter(name), saved.encoder.get_parameter(name))

    def test_a_compiled_networks_names_fit(self, tmp_path):
        state = timm.create_model(SMALL).state_dict()
        torch.save({f"_orig_mod.{name}": value for name, value in state.items()}, tmp_path / "w.pt")
        model = timm.create_model(SMALL)
        load_weights(model, tmp_path / "w.pt")
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())

    def test_a_head_alone_is_no_start(self, tmp_path):
        head = {name: value for name, value in timm.create_model(SMALL).state_dict().items() if "fc." in name}
        assert len(head) == 2
        torch.save(head, tmp_path / "w.pt")
        with pytest.raises(
            UserError, match=r"w\.pt fits only 0 % of the backbone \(2 of \d+ tensors\): is it"
        ):
            load_weights(timm.create_model(SMALL), tmp_path / "w.pt")

    def test_another_networks_file_is_refused_and_nothing_changes(self, tmp_path):
        """ResNet-18 and 50 share names, and their stems and some kernels even fit."""
        torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "w.pt")
        model = timm.create_model("resnet50")
        before = model.conv1.weight.clone()
        with pytest.raises(UserError, match=r"fits only \d+ % of the backbone .* another network\?"):
            load_weights(model, tmp_path / "w.pt")
        assert torch.equal(model.conv1.weight, before)

    def test_a_safetensors_file_in_a_folder_reaches_the_network(self, tmp_path):
        saved = timm.create_model(SMALL, num_classes=4)
        (tmp_path / "snapshots" / "1").mkdir(parents=True)
        save_file(saved.state_dict(), tmp_path / "snapshots" / "1" / "model.safetensors")
        model = build_classifier(ModelConfig(name=SMALL, image_size=160, weights=str(tmp_path)), 4)
        assert torch.equal(model.fc.weight, saved.fc.weight)


class TestCreate:
    def test_without_pretrained_nothing_is_fetched(self):
        assert create(SMALL, num_classes=3).get_classifier().out_features == 3

    def test_a_network_without_published_weights_says_so(self):
        with pytest.raises(
            UserError, match=r"no pretrained weights for podium_cifarnet could be had \(.+\): give"
        ):
            create("podium_cifarnet", pretrained=True)

    def test_a_programming_error_keeps_its_traceback(self):
        with pytest.raises(TypeError):
            create(SMALL, no_such_option=1)


class TestRealWeights:
    def config(self, real_data: Path, **options) -> ModelConfig:
        return ModelConfig(
            name="mobilenetv2_100", image_size=224, weights=str(real_data / "weights"), **options
        )

    def test_the_whole_backbone_loads_from_the_folder(self, real_data, capsys):
        model = build_classifier(self.config(real_data, pretrained=True), 2)
        total = len(model.state_dict())
        said = capsys.readouterr().err
        assert f"weights: {total - 2} of {total} tensors" in said
        assert "left as initialised: classifier.bias, classifier.weight\n" in said
        assert model.bn1.running_var.ne(1).any(), "statistics are part of the weights"

    def test_images_are_normalised_as_the_weights_expect(self, real_data):
        preprocess = Preprocess.of_model(build_classifier(self.config(real_data), 2), 224)
        assert preprocess.mean == (0.485, 0.456, 0.406) and preprocess.std == (0.229, 0.224, 0.225)

    @pytest.mark.slow
    def test_features_tell_hotdogs_from_the_rest_before_any_training(self, real_data):
        """Distance to the mean feature of each class; random features of such a network are near chance."""
        model = build_classifier(self.config(real_data), 2).eval()
        preprocess = Preprocess.of_model(model, 224)
        transform = eval_transform(preprocess)
        features = {}
        for label in ("hotdog", "not-hotdog"):
            paths = sorted((real_data / "hotdog" / "train" / label).iterdir())[:40]
            pixels = [transform(image=read_rgb(path, path.stem))["image"] for path in paths]
            batch = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in pixels])
            with torch.inference_mode():
                features[label] = model.forward_features(normalise(batch, preprocess)).mean((2, 3))
        means = torch.stack([values[::2].mean(0) for values in features.values()])
        right = [
            (torch.cdist(values[1::2], means).argmin(1) == row).float().mean().item()
            for row, values in enumerate(features.values())
        ]
        assert sum(right) / 2 > 0.75
