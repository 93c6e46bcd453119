"""Segmenters: logits at any image's own size, the encoder's weights, and what counts as the head."""

import pytest
import timm
import torch
import torch.nn.functional as F

from pipeline.base.errors import UserError
from pipeline.networks.freeze import stages
from pipeline.networks.groups import parameter_groups
from pipeline.networks.segmentation.fcn import SummedScores, bilinear_kernel
from pipeline.networks.segmentation.segmenter import DECODERS, Segmenter, build_segmenter
from pipeline.tasks.segmentation.config import ModelConfig, TrainConfig

CNN = "test_resnet"


def build(
    name: str = CNN, decoder: str = "fpn", drop_rate: float = 0.0, load: bool = False, **options
) -> Segmenter:
    return build_segmenter(ModelConfig(name=name, image_size=64, **options), decoder, 5, drop_rate, load)


@pytest.mark.parametrize("size", [(64, 96), (33, 70), (5, 130), (1, 1)])
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_gives_logits_at_the_images_own_size(decoder, size):
    model = build("test_vit" if decoder == "dpt" else CNN, decoder).eval()
    with torch.inference_mode():
        logits = model(torch.randn(1, 3, *size))
    assert logits.shape == (1, 5, *size)
    assert logits.isfinite().all()


def test_padding_is_cropped_where_it_was_added():
    """An FCN's padding is at the right and below: the upper left of a padded image is that of a whole one."""
    model = build(decoder="fcn").eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images[:, :, :, 40:] = images[:, :, :, 39:40]
    with torch.inference_mode():
        torch.testing.assert_close(model(images[:, :, :, :40]), model(images)[:, :, :, :40])


@pytest.mark.parametrize("name", [CNN, "mobilenetv2_100", "convnext_atto"])
def test_the_encoders_weights_arrive_from_a_classifiers_file(name, tmp_path, capfd):
    torch.manual_seed(1)
    trained = timm.create_model(name, num_classes=7)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    model = build(name, load=True, weights=str(tmp_path / "w.pt")).eval()
    assert "tensors from" in capfd.readouterr().err
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        found = model.backbone(images)[-1]
        expected = trained.eval().forward_intermediates(images, intermediates_only=True, norm=False)[-1]
    torch.testing.assert_close(found, expected)


def test_published_weights_are_copied_to_every_tensor_of_the_encoder(monkeypatch):
    from pipeline.networks.segmentation import segmenter

    published = timm.create_model("convnext_atto")
    asked = []

    def create(name: str, *, pretrained: bool, in_chans: int):
        asked.append((pretrained, in_chans))
        return published

    monkeypatch.setattr(segmenter, "create", create)
    model = build("convnext_atto", load=True, pretrained=True)
    assert asked == [(True, 3)]
    own = model.backbone.state_dict()
    assert torch.equal(own["stages_1.blocks.0.conv_dw.weight"], published.stages[1].blocks[0].conv_dw.weight)
    assert torch.equal(own["stem_0.weight"], published.stem[0].weight)


def test_nothing_is_fetched_where_a_checkpoint_follows(monkeypatch):
    from pipeline.networks.segmentation import segmenter

    def refuse(*args, **options):
        raise AssertionError("asked for weights")

    monkeypatch.setattr(segmenter, "create", refuse)
    monkeypatch.setattr(segmenter, "load_weights", refuse)
    build(load=False, pretrained=True)
    build(load=False, weights="nowhere.pt")


@pytest.mark.parametrize("decoder", ["fcn", "fcn8", "unet", "fpn", "deeplabv3plus"])
def test_the_head_is_all_but_the_encoder_and_learns_faster(decoder):
    model = build("mobilenetv2_100", decoder)
    encoder = {id(parameter) for parameter in model.backbone.parameters()}
    head = {id(parameter) for part in model.get_classifier() for parameter in part.parameters()}
    assert encoder and head and not encoder & head
    assert encoder | head == {id(parameter) for parameter in model.parameters()}
    for group in parameter_groups(model, TrainConfig(backbone_lr_scale=0.1)):
        ids = {id(parameter) for parameter in group.parameters}
        assert ids <= (head if group.name == "head" else encoder)
        assert group.scale == (1.0 if group.name == "head" else pytest.approx(0.1))
    assert len(stages(model)) > 4


def test_the_preprocessing_is_the_encoders():
    assert build("convnext_atto").pretrained_cfg["mean"] == timm.get_pretrained_cfg("convnext_atto").mean


def test_the_transposed_convolution_begins_as_bilinear_interpolation():
    values = torch.randn(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    grown = F.conv_transpose2d(values, bilinear_kernel(3, 64), stride=32, padding=16)
    expected = F.interpolate(values, scale_factor=32, mode="bilinear", align_corners=False)
    assert grown.shape == expected.shape
    inside = slice(32, -32)  # at the edges, interpolation repeats and the convolution sees zeros
    torch.testing.assert_close(grown[..., inside, inside], expected[..., inside, inside])


def test_the_scores_of_all_levels_are_summed_at_the_finest_ones_size():
    decoder = SummedScores((2, 3, 4), 5).eval()
    features = [torch.randn(1, count, side, side) for count, side in ((2, 8), (3, 4), (4, 2))]
    only = [torch.zeros_like(feature) for feature in features]
    parts = []
    for i, feature in enumerate(features):
        parts.append(decoder([*only[:i], feature, *only[i + 1 :]]))
    assert parts[0].shape == (1, 5, 8, 8)
    assert all(part.abs().max() > 0 for part in parts)
    torch.testing.assert_close(decoder(features), sum(parts))  # biases begin at 0


@pytest.mark.parametrize("decoder", ["unet", "fcn8"])
def test_every_part_gets_a_gradient(decoder):
    model = build(decoder=decoder).train()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("decoder", ["fpn", "unet", "deeplabv3plus", "fcn", "fcn8"])
def test_dropout_is_what_the_config_says(decoder):
    images = torch.randn(2, 3, 64, 64)
    for rate in (0.0, 0.6):
        model = build(decoder=decoder, drop_rate=rate).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                module.train()
        assert torch.equal(model(images), model(images)) == (rate == 0)


def test_wrong_names_are_answered_with_the_closest():
    with pytest.raises(UserError, match=r"'unnet'.*unet"):
        build(decoder="unnet")
    with pytest.raises(UserError, match=r"'resnet1888'.*resnet18"):
        build("resnet1888")


def test_an_encoder_without_stages_is_refused_by_name():
    with pytest.raises(UserError, match="the decoder unet does not go with the encoder test_vit"):
        build("test_vit", "unet")
