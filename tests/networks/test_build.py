"""A network by name: fitted to small images and to the classes, with the weights that were asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.base.errors import UserError
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks.build import build_classifier
from pipeline.tasks.classification.config import Config, ModelConfig
from pipeline.training.checkpoint import Checkpoint

REPOSITORY = Path(__file__).parents[2]
SMALL = "test_resnet"
"""timm's own tiny network for tests."""


class TestName:
    def test_an_unknown_name_lists_the_closest(self):
        with pytest.raises(
            UserError, match=r"^no model is called 'resnet81': did you mean resnet\w+, resnet\w+, resnet"
        ):
            build_classifier(ModelConfig(name="resnet81"), 10)

    def test_our_own_networks_are_among_them(self):
        with pytest.raises(UserError, match="did you mean podium_cifarnet"):
            build_classifier(ModelConfig(name="podium_cifar_net"), 10)

    def test_one_like_no_other_says_where_to_look(self):
        with pytest.raises(UserError, match=r"no model is called '@@@@': timm\.list_models\(\) lists them"):
            build_classifier(ModelConfig(name="@@@@"), 10)


class TestSmallImages:
    @pytest.mark.parametrize(
        "name, final_side",
        [
            ("resnet18", 4),  # 1 without adaptation
            ("resnet18d", 4),  # deep stem
            ("mobilenetv2_100", 2),
            ("repvgg_a0", 2),  # two parallel first convolutions
            ("convnext_atto", 1),  # patches as its stem: left alone
            ("levit_128s", None),  # convolutions, but a fixed feature size
            ("vit_tiny_patch16_224", None),
            ("deit_tiny_patch16_224", None),
            ("podium_cifarnet", 3),
        ],
    )
    def test_32_pixels_go_through(self, name, final_side):
        model = build_classifier(ModelConfig(name=name), num_classes=7)
        assert model.training
        model.eval()
        with torch.inference_mode():
            assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
            if final_side:
                assert model.forward_features(torch.zeros(1, 3, 32, 32)).shape[2:] == (final_side, final_side)

    def test_a_transformers_patches_shrink_with_the_image(self):
        model = build_classifier(ModelConfig(name="vit_tiny_patch16_224"), 10)
        assert model.patch_embed.proj.kernel_size == (4, 4) and model.patch_embed.num_patches == 64

    def test_the_stems_central_weights_are_kept(self):
        torch.manual_seed(0)
        original = timm.create_model("resnet18").conv1.weight
        torch.manual_seed(0)
        adapted = build_classifier(ModelConfig(name="resnet18"), 1000)
        assert torch.equal(adapted.conv1.weight, original[:, :, 2:5, 2:5])
        assert adapted.conv1.stride == (1, 1) and isinstance(adapted.maxpool, nn.Identity)

    def test_trying_the_network_out_moves_no_statistics(self):
        fresh = build_classifier(ModelConfig(name="resnet18"), 10).state_dict()
        assert int(fresh["bn1.num_batches_tracked"]) == 0 and not fresh["bn1.running_mean"].any()

    def test_large_images_get_the_network_as_published(self):
        model = build_classifier(ModelConfig(name="resnet18", image_size=64), 10)
        assert model.conv1.kernel_size == (7, 7) and isinstance(model.maxpool, nn.MaxPool2d)

    def test_a_network_that_cannot_is_named_before_training(self):
        with pytest.raises(
            UserError, match=r"^inception_v3 cannot work on images of 32 pixels \(.+\): raise --model"
        ):
            build_classifier(ModelConfig(name="inception_v3"), 10)


def test_dropout_reaches_the_network():
    assert build_classifier(ModelConfig(name=SMALL), 10, drop_rate=0.25).drop_rate == 0.25


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A network to take weights from."""
    torch.manual_seed(1)
    return timm.create_model(SMALL, num_classes=10)


class TestLocalWeights:
    def config(self, path: Path, size: int = 160) -> ModelConfig:
        return ModelConfig(name=SMALL, image_size=size, weights=str(path))

    @pytest.mark.parametrize("layout", ["bare", "state_dict", "model", "module.", "safetensors"])
    def test_round_trip(self, tmp_path, trained, layout, capsys):
        state = trained.state_dict()
        path = tmp_path / ("weights.safetensors" if layout == "safetensors" else "weights.pt")
        if layout == "safetensors":
            save_file(state, path)
        elif layout == "bare":
            torch.save(state, path)
        elif layout == "module.":
            torch.save({f"module.{name}": value for name, value in state.items()}, path)
        else:
            torch.save({layout: state, "epoch": 7}, path)
        model = build_classifier(self.config(path), 10)
        for name, value in model.state_dict().items():
            assert torch.equal(value, state[name]), name
        assert capsys.readouterr().err == f"weights: {len(state)} of {len(state)} tensors from {path}\n"

    def test_a_head_for_other_classes_is_skipped_and_reported(self, tmp_path, trained, capsys):
        path = tmp_path / "weights.pt"
        torch.save({**trained.state_dict(), "extra": torch.zeros(1)}, path)
        model = build_classifier(self.config(path), 3)
        assert model.get_classifier().out_features == 3
        assert torch.equal(model.state_dict()["conv1.0.weight"], trained.state_dict()["conv1.0.weight"])
        said = capsys.readouterr().err
        total = len(model.state_dict())
        assert f"weights: {total - 2} of {total} tensors" in said
        assert "not in the file, so left as initialised: fc.bias, fc.weight\n" in said
        assert "in the file but not used: extra, fc.bias, fc.weight\n" in said

    def test_weights_for_large_images_fit_the_adapted_stem(self, tmp_path):
        original = timm.create_model("resnet18", num_classes=10)
        torch.save(original.state_dict(), tmp_path / "weights.pt")
        model = build_classifier(ModelConfig(name="resnet18", weights=str(tmp_path / "weights.pt")), 10)
        assert torch.equal(model.conv1.weight, original.conv1.weight[:, :, 2:5, 2:5])
        assert torch.equal(model.layer4[1].conv2.weight, original.layer4[1].conv2.weight)

    def test_a_runs_own_checkpoint_fits_whole(self, tmp_path, capsys):
        own = build_classifier(ModelConfig(name="resnet18"), 10)
        preprocess = Preprocess.of_model(own, 32)
        path = tmp_path / "best.pt"
        classes = [str(number) for number in range(10)]
        Checkpoint(
            state=own.state_dict(), config=Config(), classes=classes, preprocess=preprocess, training={}
        ).save(path)
        model = build_classifier(ModelConfig(name="resnet18", weights=str(path)), 10)
        assert all(torch.equal(value, own.state_dict()[name]) for name, value in model.state_dict().items())
        assert len(capsys.readouterr().err.splitlines()) == 1, "nothing was skipped"

    @pytest.mark.parametrize(
        "content, message",
        [
            (None, r"the weights file .*w\.pt does not exist; check --model\.weights"),
            (b"", r"w\.pt is no checkpoint of tensors \(.+\)"),
            (b"this is not a checkpoint", r"w\.pt is no checkpoint of tensors \(.+\)"),
            ([1, 2, 3], r"w\.pt holds a list, not a dictionary of tensors"),
            ({"a": torch.zeros(2), "b": 1}, r"nothing in .*w\.pt fits the model: 1 tensors, none"),
            (nn.Linear(2, 2), r"w\.pt is no checkpoint of tensors \(.+\)"),  # a pickled object could run code
        ],
    )
    def test_what_cannot_be_loaded_is_one_sentence(self, tmp_path, content, message):
        path = tmp_path / "w.pt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        with pytest.raises(UserError, match=message) as error:
            build_classifier(self.config(path), 10)
        assert "\n" not in str(error.value)

    def test_a_checkpoint_that_replaces_them_anyway_loads_none(self, tmp_path):
        gone = self.config(tmp_path / "gone.pt")
        published = ModelConfig(name=SMALL, image_size=160, pretrained=True)
        with pytest.raises(UserError):
            build_classifier(gone, 10)
        for config in (gone, published):
            torch.manual_seed(0)
            found = build_classifier(config, 10, load=False).state_dict()
            torch.manual_seed(0)
            random = build_classifier(ModelConfig(name=SMALL, image_size=160), 10).state_dict()
            assert all(torch.equal(value, random[name]) for name, value in found.items())

    def test_local_weights_take_the_place_of_published_ones(self, tmp_path, trained):
        torch.save(trained.state_dict(), tmp_path / "w.pt")
        config = ModelConfig(name=SMALL, image_size=160, pretrained=True, weights=str(tmp_path / "w.pt"))
        assert torch.equal(build_classifier(config, 10).fc.weight, trained.fc.weight)


def test_published_weights_without_a_network_name_the_three_ways_out(tmp_path):
    """In a process of its own, with an empty cache and the hub's own offline switch: nothing is contacted."""
    program = (
        "from pipeline.tasks.classification.config import ModelConfig\n"
        "from pipeline.base.errors import UserError\n"
        "from pipeline.networks.build import build_classifier\n"
        "try:\n"
        f"    build_classifier(ModelConfig(name={SMALL!r}, image_size=160, pretrained=True), 10)\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment |= {"HF_HUB_CACHE": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.startswith(f"no pretrained weights for {SMALL} could be had ("), result.stderr
    for way in ("--model.weights PATH", "fetch them once where there is a network", "--model.no-pretrained"):
        assert way in result.stdout
    assert result.stdout.count("\n") == 1
