"""What is frozen does not move, in weights or statistics; what joins later joins when it was said to."""

import copy

import pytest
import timm
import torch
from packaging.version import Version
from torch import nn

from pipeline.base.errors import UserError
from pipeline.networks.build import build_classifier
from pipeline.networks.freeze import frozen_names, set_trainable, stages
from pipeline.networks.groups import build_optimizer, describe_groups, parameter_groups
from pipeline.tasks.classification.config import ModelConfig, TrainConfig


class Wrapped(nn.Module):
    """A timm encoder with a decoder and a head, as a segmenter or detector has them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.encoder = timm.create_model(name, features_only=True)
        width = self.encoder.feature_info.channels()[-1]
        self.decoder = nn.Sequential(nn.Conv2d(width, 8, 1), nn.BatchNorm2d(8))
        self.out = nn.Conv2d(8, 3, 1)

    @property
    def backbone(self) -> nn.Module:
        return self.encoder

    def get_classifier(self) -> tuple[nn.Module, ...]:
        return self.decoder, self.out

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.out(self.decoder(self.encoder(images)[-1])).mean((2, 3))


def build(name: str, wrapped: bool = False, size: int = 32) -> nn.Module:
    torch.manual_seed(0)
    model = Wrapped(name) if wrapped else build_classifier(ModelConfig(name=name, image_size=size), 3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # zero in each residual branch's last: nothing before it would move
    return model


def learning(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def train_one_step(model: nn.Module, config: TrainConfig, epoch: int, side: int = 32) -> set[str]:
    """Names of all parameters and buffers that a real step changed."""
    optimizer = build_optimizer(parameter_groups(model, config), config)
    set_trainable(model, config, epoch)
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    loss = nn.functional.cross_entropy(model(torch.randn(4, 3, side, side)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    optimizer.step()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


class TestStages:
    @pytest.mark.parametrize(
        "name, first, count",
        [
            ("resnet18", {"conv1", "bn1"}, 5),
            ("mobilenetv2_100", {"conv_stem", "bn1"}, 8),
            ("vit_tiny_patch16_224", {"cls_token", "pos_embed", "patch_embed"}, 13),
            ("convnext_atto", {"stem"}, 5),
            ("podium_cifarnet", {"whiten"}, 4),
            pytest.param(
                *("levit_128s", {"stem"}, 4),  # two heads
                marks=pytest.mark.skipif(
                    Version(timm.__version__) < Version("1.0.31"), reason="an older timm has no stages of it"
                ),
            ),
        ],
    )
    def test_they_run_from_the_stem_to_the_head(self, name, first, count):
        model = build(name)
        found = stages(model)
        assert len(found) == count
        assert {parameter.split(".")[0] for parameter in found[0]} == first
        heads = model.get_classifier()
        heads = heads if isinstance(heads, tuple) else (heads,)
        of_head = {id(parameter) for head in heads for parameter in head.parameters()}
        backbone = [key for key, value in model.named_parameters() if id(value) not in of_head]
        assert sorted(key for names in found for key in names) == sorted(backbone), "each in exactly one"

    def test_blocks_come_in_the_order_of_the_forward_pass(self):
        found = stages(build("vit_tiny_patch16_224"))
        assert [names[0].split(".")[1] for names in found[1:]] == [str(number) for number in range(12)]
        assert {"norm.weight", "norm.bias"} <= set(found[-1]), "what is left goes with the last"

    @pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "convnext_atto", "vit_tiny_patch16_224"])
    def test_an_encoder_has_the_stages_of_its_classifier(self, name):
        of_classifier, of_encoder = stages(timm.create_model(name)), stages(Wrapped(name))
        assert len(of_classifier) == len(of_encoder)
        for names, inner in list(zip(of_classifier, of_encoder, strict=True))[:-1]:
            flat = [key.removeprefix("encoder.").removeprefix("model.").replace("_", ".") for key in inner]
            assert flat == [key.replace("_", ".") for key in names]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100"])
class TestFrozenForEver:
    @pytest.mark.parametrize("frozen", [2, -1])
    def test_neither_weights_nor_statistics_move_and_the_rest_does(self, name, wrapped, frozen):
        model = build(name, wrapped)
        found = stages(model)
        still = {key for names in found[: len(found) if frozen == -1 else frozen] for key in names}
        prefixes = {key.rpartition(".")[0] for key in still}
        moved = train_one_step(model, TrainConfig(lr=0.1, frozen_stages=frozen), epoch=0)
        assert moved and not {key for key in moved if key.rpartition(".")[0] in prefixes}
        expected = {key for key, _ in model.named_parameters()} - still
        assert expected <= moved
        statistics = {key for key in model.state_dict() if key.endswith("running_mean")}
        assert {key for key in statistics if key.rpartition(".")[0] not in prefixes} <= moved

    def test_their_parameters_are_in_no_group(self, name, wrapped):
        model = build(name, wrapped)
        config = TrainConfig(frozen_stages=3)
        grouped = {id(p) for group in parameter_groups(model, config) for p in group.parameters}
        never = frozen_names(model, config)
        assert never
        assert grouped == {id(p) for key, p in model.named_parameters() if key not in never}
        count = sum(p.numel() for key, p in model.named_parameters() if key in never)
        lines = describe_groups(parameter_groups(model, config), config, model)
        assert lines[-1] == f"frozen: {count:,} parameters"


class TestModes:
    def test_evaluation_mode_is_for_whole_frozen_stages_only(self):
        model = build("resnet18").eval()
        set_trainable(model, TrainConfig(frozen_stages=2), 0)
        assert not model.layer1.training and not model.layer1[0].bn1.training and not model.bn1.training
        assert model.training and model.layer2.training and model.layer2[0].bn1.training and model.fc.training

    def test_dropout_before_the_head_stays_on_for_a_linear_probe(self):
        model = build_classifier(ModelConfig(name="mobilenetv2_100"), 3, drop_rate=0.3)
        set_trainable(model, TrainConfig(frozen_stages=-1), 0)
        assert model.training and not any(
            m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d)
        )

    def test_with_nothing_frozen_all_is_in_training_mode(self):
        model = build("mobilenetv2_100").eval()
        set_trainable(model, TrainConfig(), 3)
        assert all(module.training for module in model.modules())
        assert learning(model) == {key for key, _ in model.named_parameters()}

    def test_a_layer_its_network_never_trains_stays_so(self):
        model = build("podium_cifarnet")
        for epoch in range(5):
            set_trainable(model, TrainConfig(unfreeze_every=1), epoch)
            assert not model.whiten.weight.requires_grad
        assert learning(model) == {key for key, _ in model.named_parameters() if not key.startswith("whiten")}


class TestGradualUnfreezing:
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_stage_joins_from_the_head_down_every_so_many_epochs(self, wrapped):
        model = build("resnet18", wrapped)
        found = stages(model)
        head = {key for key, _ in model.named_parameters()} - {key for names in found for key in names}
        config = TrainConfig(unfreeze_every=2)
        for epoch in range(14):
            set_trainable(model, config, epoch)
            joined = min(epoch // 2, 5)
            assert learning(model) == head.union(*found[5 - joined :]), epoch

    def test_what_never_learns_never_joins(self):
        model = build("resnet18")
        config = TrainConfig(unfreeze_every=1, frozen_stages=3)
        for epoch in (0, 3, 50):
            set_trainable(model, config, epoch)
            assert not {
                key for key in learning(model) if key.startswith(("conv1", "bn1", "layer1", "layer2"))
            }
        assert {key for key in learning(model) if key.startswith("layer3")}

    def test_what_joins_later_has_its_rate_from_the_start_and_moves_from_then_on(self):
        model = build("resnet18")
        config = TrainConfig(lr=0.1, unfreeze_every=1, backbone_lr_scale=0.1)
        groups = parameter_groups(model, config)
        assert {id(p) for group in groups for p in group.parameters} == {id(p) for p in model.parameters()}
        optimizer = build_optimizer(groups, config)
        moved = []
        for epoch in range(3):
            set_trainable(model, config, epoch)
            before = copy.deepcopy(model.state_dict())
            loss = nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            moved.append(
                {k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
            )
        assert moved == [{"fc"}, {"fc", "layer4"}, {"fc", "layer4", "layer3"}]

    def test_resuming_in_a_later_epoch_gives_the_same_set(self):
        config = TrainConfig(unfreeze_every=2, frozen_stages=1)
        went_through, resumed = build("mobilenetv2_100"), build("mobilenetv2_100")
        for epoch in range(6):
            set_trainable(went_through, config, epoch)
        set_trainable(resumed, config, 5)
        assert learning(went_through) == learning(resumed)
        modes = [[module.training for module in model.modules()] for model in (went_through, resumed)]
        assert modes[0] == modes[1]


@pytest.mark.parametrize("count", [6, 99])
def test_a_number_of_stages_the_network_does_not_have_is_one_sentence(count):
    model = build("resnet18")
    with pytest.raises(UserError, match=rf"no {count} stages .* --train\.frozen-stages 0 to 5, or -1"):
        parameter_groups(model, TrainConfig(frozen_stages=count))
    with pytest.raises(UserError, match="0 to 5"):
        set_trainable(model, TrainConfig(frozen_stages=count), 0)
