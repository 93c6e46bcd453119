"""Stored probability maps: how far they are off, and that no class overtakes another."""

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.prediction.stored import average_maps, load_map, save_map


def probabilities(classes: int, seed: int = 0, peak: float = 1.0) -> np.ndarray:
    values = np.random.default_rng(seed).dirichlet(np.full(classes, peak), (13, 17))
    return values.transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize("peak", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("classes", [2, 3, 21])
def test_a_map_comes_back_within_the_bound_and_sums_to_one(tmp_path, classes, peak):
    values = probabilities(classes, peak=peak)
    save_map(tmp_path / "m.npz", values)
    found = load_map(tmp_path / "m.npz")
    assert found.dtype == np.float32 and found.shape == values.shape
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    assert (np.abs(found - values) <= (1 + values * classes) / (510 - classes) + 1e-6).all()
    if classes == 2:
        assert np.abs(found - values).max() <= 1.01 / 255


def test_the_class_that_is_clearly_ahead_stays_ahead(tmp_path):
    values = probabilities(21)
    save_map(tmp_path / "m.npz", values)
    found = load_map(tmp_path / "m.npz")
    first, second = np.sort(values, axis=0)[[-1, -2]]
    clear = first - second > 1 / 255 + 1e-6
    assert clear.mean() > 0.5
    assert np.array_equal(found.argmax(0)[clear], values.argmax(0)[clear])


def test_a_pixel_without_any_probability_stays_at_zero(tmp_path):
    values = probabilities(3)
    values[:, 0, 0] = 0
    save_map(tmp_path / "m.npz", values)
    found = load_map(tmp_path / "m.npz")
    assert np.isfinite(found).all()
    assert (found[:, 0, 0] == 0).all()


def test_the_same_map_is_the_same_file_and_a_small_one(tmp_path):
    values = np.zeros((21, 100, 120), dtype=np.float32)
    values[0] = 1
    for name in ("a.npz", "b.npz"):
        save_map(tmp_path / name, values)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.npz").stat().st_size < 5000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_the_mean_of_several(tmp_path):
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"{seed}.npz")
        save_map(paths[-1], probabilities(4, seed))
    expected = np.mean([load_map(path) for path in paths], axis=0)
    np.testing.assert_allclose(average_maps(paths), expected, atol=1e-6)


def test_maps_of_different_shapes_have_no_mean(tmp_path):
    save_map(tmp_path / "a.npz", probabilities(4))
    save_map(tmp_path / "b.npz", probabilities(3))
    with pytest.raises(UserError, match=r"b\.npz have the shapes"):
        average_maps([tmp_path / "a.npz", tmp_path / "b.npz"])


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"m\.npz is no readable probability map"):
        load_map(tmp_path / "m.npz")


def test_a_file_cut_short_and_a_missing_one_are_named(tmp_path):
    save_map(tmp_path / "m.npz", probabilities(4))
    (tmp_path / "m.npz").write_bytes((tmp_path / "m.npz").read_bytes()[:-40])
    with pytest.raises(UserError, match=r"m\.npz is no readable"):
        load_map(tmp_path / "m.npz")
    with pytest.raises(UserError, match=r"none\.npz is missing"):
        load_map(tmp_path / "none.npz")


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.5, np.inf])
def test_what_is_no_probability_is_not_stored(tmp_path, wrong):
    values = probabilities(3)
    values[1, 2, 3] = wrong
    with pytest.raises(ValueError, match="probabilities must be"):
        save_map(tmp_path / "m.npz", values)
    assert list(tmp_path.iterdir()) == []
