"""Training changes exactly what was asked for, reproducibly; both paths make the same kind of picture."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from pipeline.base.errors import UserError
from pipeline.inputs.augment import augment_batch, batched_is_enough, train_transform
from pipeline.inputs.preprocess import Preprocess, eval_transform
from pipeline.tasks.classification.config import AugmentConfig

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
MEAN_PIXEL = [128, 102, 76]
PLAIN = AugmentConfig(crop="none", horizontal_flip=False)


def preprocess(size: int = 32, **options) -> Preprocess:
    return Preprocess(size, MEAN, STD, **options)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image without two equal neighbourhoods, so that every shift shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")


def batch_of(image: np.ndarray, count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([image] * count)).permute(0, 3, 1, 2)


def pixels(batch: torch.Tensor) -> np.ndarray:
    return batch.permute(0, 2, 3, 1).numpy()


CROPS = ("pad", "resized", "none")
EVERYTHING = {"color_jitter": 0.4, "cutout": 8, "vertical_flip": True}


class TestTrain:
    @pytest.mark.parametrize("crop", CROPS)
    @settings(deadline=None, max_examples=12)
    @given(height=st.integers(3, 90), width=st.integers(3, 90), seed=st.integers(0, 2**31 - 1))
    def test_any_size_becomes_the_inputs_and_a_seed_repeats(self, crop, height, width, seed):
        transform = train_transform(AugmentConfig(crop=crop, **EVERYTHING), preprocess())
        results = []
        for _ in range(2):
            transform.set_random_seed(seed)
            results.append(transform(image=noise(height, width))["image"])
        assert results[0].shape == (32, 32, 3) and results[0].dtype == np.uint8
        np.testing.assert_array_equal(*results)

    @pytest.mark.parametrize("crop", CROPS)
    def test_another_seed_gives_another_picture(self, crop):
        transform = train_transform(AugmentConfig(crop=crop, **EVERYTHING), preprocess())
        seen = set()
        for seed in range(5):
            transform.set_random_seed(seed)
            seen.add(transform(image=noise(40, 40))["image"].tobytes())
        assert len(seen) == 5

    @pytest.mark.parametrize("crop", CROPS)
    @pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
    def test_one_colour_stays_one_colour_but_for_the_cutout(self, crop, value):
        """No border is invented, and nothing overflows at either end."""
        image = np.full((45, 30, 3), value, dtype="uint8")
        transform = train_transform(AugmentConfig(crop=crop, cutout=6), preprocess())
        result = transform(image=image)["image"].reshape(-1, 3)
        colours, counts = np.unique(result, axis=0, return_counts=True)
        found = dict(zip(map(tuple, colours.tolist()), counts.tolist(), strict=True))
        assert found == {(value,) * 3: 32 * 32 - 36, tuple(MEAN_PIXEL): 36}

    def test_without_augmentation_it_is_the_eval_transform(self):
        for shape in ((32, 32), (50, 71), (20, 9)):
            image = noise(*shape)
            expected = eval_transform(preprocess())(image=image)["image"]
            np.testing.assert_array_equal(
                train_transform(PLAIN, preprocess())(image=image)["image"], expected
            )

    def test_pad_crop_and_flip_give_a_window_of_the_reflected_image(self):
        image = noise(32, 32)
        windows = shifted_and_flipped(image, pad=4, vertical=False)
        transform = train_transform(AugmentConfig(pad=4), preprocess())
        transform.set_random_seed(0)
        drawn = {transform(image=image)["image"].tobytes() for _ in range(60)}
        assert len(drawn) > 20 and drawn <= set(windows)

    def test_resized_crop_keeps_at_least_the_smallest_area(self):
        """Painted with its own position, the image tells how much of its height and width was kept."""
        ramp = np.linspace(0, 255, 64)
        image = np.stack([*np.meshgrid(ramp, ramp), np.zeros((64, 64))], axis=2).astype("uint8")
        transform = train_transform(
            AugmentConfig(crop="resized", min_area=0.5, horizontal_flip=False), preprocess(64)
        )
        transform.set_random_seed(1)
        areas = []
        for _ in range(40):
            spread = np.ptp(transform(image=image)["image"].astype(float), axis=(0, 1)) / 255
            areas.append(spread[0] * spread[1])
        assert 0.42 < min(areas) < 0.6 and max(areas) > 0.75

    def test_colour_jitter_changes_colours_and_not_places(self):
        image = np.zeros((32, 32, 3), dtype="uint8")
        image[:16] = (200, 100, 50)
        transform = train_transform(
            AugmentConfig(crop="none", horizontal_flip=False, color_jitter=0.4), preprocess()
        )
        transform.set_random_seed(0)
        results = [transform(image=image)["image"] for _ in range(20)]
        assert len({result.tobytes() for result in results}) > 10
        for result in results:
            assert len(np.unique(result[:16].reshape(-1, 3), axis=0)) == 1
            assert len(np.unique(result[16:].reshape(-1, 3), axis=0)) == 1


OPTIONS = [
    {"rotate": 30.0},
    {"shear": 20.0},
    {"shift": 0.2},
    {"zoom": 0.3},
    {"blur": 2.0},
    {"noise": 0.1},
    {"erase": 0.9},
    {"policy": "randaugment"},
    {"policy": "trivialaugment"},
]


def drawn(count: int, image: np.ndarray, seed: int = 0, **options) -> list[np.ndarray]:
    """What training sees of one image with these changes alone."""
    augment = replace(PLAIN, **options)
    transform = train_transform(augment, preprocess(image.shape[0]))
    transform.set_random_seed(seed)
    return [transform(image=image)["image"] for _ in range(count)]


def spot(at: float = 0.75, side: int = 64) -> np.ndarray:
    """A white disc at this share of the width of a black image, halfway down."""
    rows, columns = np.mgrid[:side, :side]
    inside = (rows - (side - 1) / 2) ** 2 + (columns - side * at) ** 2 < 25
    return np.repeat(inside[..., None] * np.uint8(255), 3, axis=2)


def centre(image: np.ndarray) -> np.ndarray:
    """Row and column of the white, from the image's middle."""
    return np.argwhere(image[..., 0] > 127).mean(axis=0) - (image.shape[0] - 1) / 2


class TestReadyOptions:
    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    def test_a_seed_repeats_and_another_gives_another_picture(self, options):
        image = noise(40, 40)
        first, again, other = (drawn(6, image, seed, **options) for seed in (0, 0, 1))
        assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
        assert any(not np.array_equal(*pair) for pair in zip(first, other, strict=True))
        assert all(one.shape == (40, 40, 3) and one.dtype == np.uint8 for one in first)

    def test_a_rotation_turns_about_the_middle_by_no_more_than_asked_for(self):
        places = [centre(one) for one in drawn(60, spot(), rotate=30.0)]
        angles = [np.degrees(np.arctan2(row, column)) for row, column in places]
        assert -31 < min(angles) < -20 and 20 < max(angles) < 31
        assert np.linalg.norm(places, axis=1) == pytest.approx(np.linalg.norm(centre(spot())), abs=0.7)

    def test_a_shift_moves_by_no_more_than_its_share_of_the_side(self):
        moves = np.array([centre(one) - centre(spot()) for one in drawn(60, spot(), shift=0.1)])
        assert np.abs(moves).max() < 0.1 * 64 + 1 and np.abs(moves).max(axis=0).min() > 4

    def test_a_zoom_changes_the_size_both_ways_and_alike_along_both_sides(self):
        sizes = []
        for one in drawn(60, spot(0.5), zoom=0.3):
            rows, columns = np.nonzero(one[..., 0] > 127)
            assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
            sizes.append(len(rows) ** 0.5)
        plain = np.count_nonzero(spot()[..., 0]) ** 0.5
        assert 0.65 < min(sizes) / plain < 0.85 and 1.15 < max(sizes) / plain < 1.35

    @pytest.mark.parametrize("options", [*OPTIONS[:5]], ids=str)
    def test_beyond_the_edge_lies_the_mirrored_image_so_that_one_colour_stays_one(self, options):
        image = np.full((32, 32, 3), 77, dtype="uint8")
        assert all((one == 77).all() for one in drawn(20, image, **options))

    def test_noise_is_as_strong_as_asked_for_at_most_and_on_half_of_the_images(self):
        grey = np.full((64, 64, 3), 128, dtype="uint8")
        spreads = np.array([(one.astype(float) - 128).std() / 255 for one in drawn(200, grey, noise=0.1)])
        assert 0.08 < spreads.max() < 0.105
        assert np.mean(spreads == 0) == pytest.approx(0.5, abs=0.12)

    def test_a_blur_keeps_the_mean_and_lowers_the_contrast_of_half_of_the_images(self):
        image = noise(64, 64)
        contrasts = np.array([one.astype(float).std() for one in drawn(100, image, blur=2.0)])
        assert np.mean(contrasts == image.astype(float).std()) == pytest.approx(0.5, abs=0.15)
        assert contrasts.min() < 0.3 * contrasts.max()

    def test_erasing_fills_one_box_of_a_share_of_the_images_with_noise(self):
        white = np.full((64, 64, 3), 255, dtype="uint8")
        shares = []
        for one in drawn(200, white, erase=0.7):
            changed = (one != 255).any(axis=2)
            shares.append(changed.mean())
            if changed.any():
                rows, columns = np.nonzero(changed)
                assert changed[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean() > 0.95
        assert np.mean(np.array(shares) > 0) == pytest.approx(0.7, abs=0.1)
        assert max(shares) < 0.34

    @pytest.mark.parametrize(
        ("options", "reference"),
        [
            ({"policy": "trivialaugment"}, v2.TrivialAugmentWide),
            ({"policy": "randaugment", "magnitude": 30}, lambda **options: v2.RandAugment(2, 30, **options)),
        ],
    )
    def test_policies_are_torchvisions(self, options, reference):
        """Whatever seed a picture was drawn with, torchvision makes the same of it."""
        image = noise(24, 24)
        expected = reference(interpolation=v2.InterpolationMode.BILINEAR, fill=MEAN_PIXEL)
        seeds = random.Random(0)
        transform = train_transform(replace(PLAIN, **options), preprocess(24)).transforms[-1]
        transform.set_random_state(np.random.default_rng(0), seeds)
        before = torch.get_rng_state()
        made = [transform(image=image)["image"] for _ in range(10)]
        assert torch.equal(torch.get_rng_state(), before), "torch's own generator is left alone"
        again = random.Random(0)
        for one in made:
            torch.manual_seed(again.getrandbits(31))
            np.testing.assert_array_equal(one, pixels(expected(batch_of(image, 1)))[0])


def shifted_and_flipped(
    image: np.ndarray, pad: int, vertical: bool
) -> dict[bytes, tuple[int, int, bool, bool]]:
    """Every picture that pad-crop and flips can make of `image`, by numpy; which one it is, by its bytes."""
    side = image.shape[0]
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    made = {}
    for top, left, mirror, turn in itertools.product(
        range(2 * pad + 1), range(2 * pad + 1), (False, True), (False, True) if vertical else (False,)
    ):
        window = padded[top : top + side, left : left + side]
        window = window[:, ::-1] if mirror else window
        window = window[::-1] if turn else window
        made[window.tobytes()] = (top, left, mirror, turn)
    return made


class TestBatched:
    @pytest.mark.parametrize("vertical", [False, True])
    def test_every_result_is_a_window_of_the_reflected_image_and_all_windows_come_up(self, vertical):
        image = noise(16, 16)
        windows = shifted_and_flipped(image, 2, vertical)
        augment = AugmentConfig(pad=2, vertical_flip=vertical)
        torch.manual_seed(0)
        result = augment_batch(batch_of(image, 2000), augment, MEAN)
        assert result.dtype == torch.uint8 and result.shape == (2000, 3, 16, 16)
        drawn = [window.tobytes() for window in pixels(result)]
        assert set(drawn) == set(windows)
        top, left, mirror, turn = np.array([windows[window] for window in drawn]).mean(axis=0)
        assert top == pytest.approx(2, abs=0.15) and left == pytest.approx(2, abs=0.15)
        assert mirror == pytest.approx(0.5, abs=0.05)
        assert turn == pytest.approx(0.5 * vertical, abs=0.05)

    def test_images_of_a_batch_are_not_mixed_up(self):
        """Each result is made of its own image's pixels."""
        values = torch.arange(200, dtype=torch.uint8)
        batch = values.view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
        result = augment_batch(batch, AugmentConfig(pad=3, vertical_flip=True), MEAN)
        assert torch.equal(result.contiguous(), batch)

    def test_images_need_not_be_square(self):
        result = augment_batch(batch_of(noise(10, 20), 3), AugmentConfig(pad=2, cutout=4), MEAN)
        assert result.shape == (3, 3, 10, 20)

    def test_with_nothing_asked_for_nothing_changes(self):
        batch = batch_of(noise(8, 8), 4)
        assert torch.equal(augment_batch(batch, PLAIN, MEAN), batch)

    def test_the_generators_seed_decides(self):
        batch = batch_of(noise(16, 16), 20)
        augment = AugmentConfig(cutout=4)
        results = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            results.append(augment_batch(batch, augment, MEAN))
        assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])

    def test_the_given_batch_is_left_alone(self):
        batch = batch_of(noise(16, 16), 4)
        before = batch.clone()
        augment_batch(batch, AugmentConfig(cutout=4), MEAN)
        assert torch.equal(batch, before)

    def test_cutout_is_one_whole_square_of_the_mean_colour_anywhere_inside(self):
        white = np.full((16, 16, 3), 255, dtype="uint8")
        augment = AugmentConfig(crop="none", horizontal_flip=False, cutout=5)
        torch.manual_seed(0)
        corners = set()
        for result in pixels(augment_batch(batch_of(white, 1500), augment, MEAN)):
            rows, columns = np.nonzero((result != 255).all(axis=2))
            top, left = rows.min(), columns.min()
            assert len(rows) == 25 and rows.max() == top + 4 and columns.max() == left + 4
            assert (result[rows, columns] == MEAN_PIXEL).all()
            corners.add((int(top), int(left)))
        assert corners == set(itertools.product(range(12), repeat=2)), "every place comes up"

    def test_the_largest_values_that_a_config_allows_work(self):
        """Padding of a side less one, and a hole as large as the image."""
        image = noise(8, 8)
        drawn = pixels(augment_batch(batch_of(image, 50), AugmentConfig(pad=7), MEAN))
        assert {window.tobytes() for window in drawn} <= set(shifted_and_flipped(image, 7, vertical=False))
        augment = AugmentConfig(crop="none", cutout=8)
        assert (pixels(augment_batch(batch_of(image, 2), augment, MEAN)) == MEAN_PIXEL).all()
        assert (train_transform(augment, preprocess(8))(image=image)["image"] == MEAN_PIXEL).all()

    def test_both_paths_make_the_same_kind_of_picture(self):
        """Every window the single-image path draws is one the batched path can draw, and the reverse."""
        image = noise(32, 32)
        transform = train_transform(AugmentConfig(pad=1), preprocess())
        transform.set_random_seed(0)
        singly = {transform(image=image)["image"].tobytes() for _ in range(300)}
        torch.manual_seed(0)
        batched = {
            window.tobytes()
            for window in pixels(augment_batch(batch_of(image, 300), AugmentConfig(pad=1), MEAN))
        }
        assert singly == batched and len(singly) == 18


@pytest.mark.parametrize(
    "augment, packed_size, enough",
    [
        (AugmentConfig(), (32, 32), True),
        (AugmentConfig(crop="none", cutout=8, vertical_flip=True), (32, 32), True),
        (AugmentConfig(mixup=0.2, cutmix=1.0), (32, 32), True),  # of whole batches on either path
        (AugmentConfig(crop="resized"), (32, 32), False),
        (AugmentConfig(color_jitter=0.1), (32, 32), False),
        (AugmentConfig(rotate=5), (32, 32), False),
        (AugmentConfig(shear=5), (32, 32), False),
        (AugmentConfig(shift=0.1), (32, 32), False),
        (AugmentConfig(zoom=0.1), (32, 32), False),
        (AugmentConfig(blur=1), (32, 32), False),
        (AugmentConfig(noise=0.1), (32, 32), False),
        (AugmentConfig(erase=0.1), (32, 32), False),
        (AugmentConfig(policy="trivialaugment"), (32, 32), False),
        (AugmentConfig(), (32, 48), False),
        (AugmentConfig(), (64, 64), False),
        (AugmentConfig(), None, False),
    ],
)
def test_when_the_batched_path_is_enough(augment, packed_size, enough):
    assert batched_is_enough(augment, packed_size, size=32) is enough


class TestOtherImages:
    """Images that are no photographs: any number of channels, uint8 or float32."""

    @pytest.mark.parametrize("deep", [True, False])
    @pytest.mark.parametrize("channels", [1, 2, 5])
    @pytest.mark.parametrize("crop", ["pad", "resized", "none"])
    def test_every_change_but_those_of_colours_works(self, deep, channels, crop):
        statistics = ((0.25,) * channels, (0.5,) * channels)
        about = {"levels": [0, 1], "statistics": [list(one) for one in statistics]} if deep else {}
        preprocess = Preprocess(16, *statistics, decoding=about)
        image = np.random.default_rng(0).random((20, 30, channels)).astype("float32")
        image = image if deep else (255 * image).astype("uint8")
        options = {"cutout": 4, "vertical_flip": True, "rotate": 10.0, "blur": 0.5, "noise": 0.1}
        changed = train_transform(AugmentConfig(crop=crop, **options), preprocess)(image=image)["image"]
        assert changed.shape == (16, 16, channels) and changed.dtype == image.dtype

    @pytest.mark.parametrize("options", [{"color_jitter": 0.5}, {"policy": "trivialaugment"}])
    def test_changes_of_colours_are_refused(self, options):
        with pytest.raises(UserError, match="2 channel"):
            train_transform(AugmentConfig(**options), Preprocess(16, (0.5, 0.5), (0.5, 0.5)))

    def test_a_batch_of_floats_is_cut_out_with_its_mean(self):
        batch = torch.ones(3, 2, 8, 8)
        changed = augment_batch(batch, AugmentConfig(cutout=8, pad=2), (0.25, 0.5))
        assert changed.dtype == torch.float32
        assert changed[:, 0].unique().tolist() == [0.25] and changed[:, 1].unique().tolist() == [0.5]
