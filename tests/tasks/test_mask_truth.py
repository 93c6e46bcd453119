"""Masks as competitions give them: every way to write the same masks is read as the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.frame.rle import RunLengths
from pipeline.tasks.mask_truth import ClassFiles, MaskFile, MaskTruth, RunLengthMasks, RunLengthTiles

HEIGHT, WIDTH = 6, 9
MASKS = np.zeros((2, HEIGHT, WIDTH), dtype=bool)
MASKS[0, 1:4, 2:7] = True
MASKS[1, 5:, :3] = True
INK = MASKS[0].astype("uint8")


def read(truth: MaskTruth, count: int, **row) -> np.ndarray:
    """The masks of a row, (C, H, W); what is present agrees with them."""
    row = {"image_id": "a", **row}
    mask = truth.read(row, HEIGHT, WIDTH, count)
    assert mask.dtype == np.uint8 and mask.shape == (HEIGHT, WIDTH, count)
    assert truth.present(row, count).tolist() == (mask == 1).any(axis=(0, 1)).tolist()
    return mask.transpose(2, 0, 1)


def saved(folder: Path, name: str, value, **options) -> str:
    path = folder / name
    if name.endswith(".npy"):
        np.save(path, value)
    elif name.endswith(".npz"):
        np.savez(path, value)
    else:
        Image.fromarray(value).save(path, **options) if isinstance(value, np.ndarray) else value.save(
            path, **options
        )
    return str(path)


@pytest.mark.parametrize("order", ["columns", "rows"])
@pytest.mark.parametrize("first", [0, 1])
def test_run_lengths(order, first):
    runs = RunLengths(order=order, first=first)
    texts = [runs.text(mask) for mask in MASKS]
    assert (read(RunLengthMasks(runs), 2, masks=texts) == MASKS).all()
    assert (read(RunLengthMasks(runs), 3, masks=np.array([*texts, "-1"], dtype=object))[2] == 0).all()


def test_a_tile_is_its_part_of_the_whole_mask():
    whole = np.random.default_rng(0).random((40, 30)) < 0.5
    place = {
        "masks": [RunLengths().text(whole)],
        "top": 16,
        "left": 24,
        "whole_height": 40,
        "whole_width": 30,
    }
    mask = RunLengthTiles(side=8).read({"image_id": "a", **place}, 8, 8, 1)[..., 0]
    assert (mask[:, :6] == whole[16:24, 24:]).all() and not mask[:, 6:].any()
    shrunk = RunLengthTiles(side=8, shrink=2).read({"image_id": "a", **place, "left": 8}, 4, 4, 1)[..., 0]
    assert (shrunk == (whole[16:24, 8:16].reshape(4, 2, 4, 2).mean(axis=(1, 3)) >= 0.5)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("one.png", INK),
        ("white.png", INK * np.uint8(255)),
        ("deep.png", INK.astype("uint16") * np.uint16(65535)),
        ("bit.png", Image.fromarray(MASKS[0])),
        ("palette.png", Image.fromarray(INK).convert("P")),
        ("grey_rgb.png", np.repeat(INK[..., None] * np.uint8(255), 3, axis=2)),
        ("float.tif", INK.astype("float32")),
        ("frame.gif", Image.fromarray(INK * np.uint8(255)).convert("P")),
        ("bool.npy", MASKS[0]),
        ("channel.npy", INK[..., None].astype("int64")),
        ("one.npz", INK),
    ],
)
def test_one_class_in_one_file(tmp_path, name, value):
    assert (read(MaskFile(), 1, mask=saved(tmp_path, name, value)) == MASKS[:1]).all()


def test_the_frame_of_a_gif_is_named_and_not_guessed(tmp_path):
    frames = [Image.fromarray(mask.astype("uint8") * np.uint8(255)).convert("P") for mask in MASKS]
    path = saved(tmp_path, "two.gif", frames[0], save_all=True, append_images=frames[1:])
    for page in (0, 1):
        assert (read(MaskFile(page=page), 1, mask=path) == MASKS[page : page + 1]).all()
    with pytest.raises(UserError, match=r"image a: .*two.gif cannot be read \(it has 2 pages: name the one"):
        read(MaskFile(), 1, mask=path)


def test_several_classes_in_one_file(tmp_path):
    hwc = saved(tmp_path, "hwc.npy", MASKS.transpose(1, 2, 0))
    chw = saved(tmp_path, "chw.npy", MASKS)
    values = saved(tmp_path, "values.png", (MASKS[0] * 40 + MASKS[1] * 90).astype("uint8"))
    colors = np.where(MASKS[0, ..., None], (255, 0, 0), np.where(MASKS[1, ..., None], (0, 0, 255), (0, 0, 0)))
    colored = saved(tmp_path, "colors.png", colors.astype("uint8"))
    for truth, path in (
        (MaskFile(), hwc),
        (MaskFile(axes="chw"), chw),
        (MaskFile(values=(40, 90)), values),
        (MaskFile(colors=((255, 0, 0), (0, 0, 255))), colored),
    ):
        assert (read(truth, 2, mask=path) == MASKS).all()


def test_a_file_for_each_class_and_none_for_one_without(tmp_path):
    paths = [
        saved(tmp_path, f"{n}.png", mask.astype("uint8") * np.uint8(255)) for n, mask in enumerate(MASKS)
    ]
    assert (read(ClassFiles(), 2, masks=paths) == MASKS).all()
    assert (read(ClassFiles(), 2, masks=["", paths[1]]) == MASKS * [[[0]], [[1]]]).all()


def test_ignored_pixels_and_shades_only_where_they_are_named(tmp_path):
    shades = saved(tmp_path, "shades.png", INK * np.uint8(200) + np.uint8(3))
    with pytest.raises(UserError, match=r"has the values 3, 203 beside 0, .* above= where they are shades"):
        read(MaskFile(), 1, mask=shades)
    assert (read(MaskFile(above=127), 1, mask=shades) == MASKS[:1]).all()
    void = saved(tmp_path, "void.png", INK + np.uint8(9) * MASKS[1])
    found = read(MaskFile(ignore=9), 1, mask=void)
    assert (found[0] == np.where(MASKS[1], 255, INK)).all()


@pytest.mark.parametrize(
    ("truth", "row", "message"),
    [
        (
            RunLengthMasks(),
            {"masks": ["1 99"]},
            r"image a: its run lengths do not fit its 9 x 6 pixels \(99 is",
        ),
        (RunLengthMasks(), {"masks": ["1 1", "2 2"]}, "must be a list with an entry for each of 1 classes"),
        (RunLengthMasks(), {"masks": "1 1"}, "must be a list with an entry for each of 1 classes"),
        (MaskFile(), {"mask": "lost.png"}, "image a: its mask lost.png is missing; restore it"),
        (ClassFiles(), {"masks": ["lost.npy"]}, "image a: its mask lost.npy is missing"),
    ],
)
def test_what_cannot_be_read_is_named(truth, row, message):
    with pytest.raises(UserError, match=message):
        truth.read({"image_id": "a", **row}, HEIGHT, WIDTH, 1)


@pytest.mark.parametrize(
    ("truth", "value", "message"),
    [
        (MaskFile(), np.zeros((4, WIDTH), dtype="uint8"), "has 9 x 4 pixels and the image 9 x 6"),
        (MaskFile(values=(1,)), INK * np.uint8(7), "has the value 7, and those of the classes are 1"),
        (MaskFile(), np.stack([INK, INK, 1 - INK], axis=2), "has colours, and a mask of one class is grey"),
        (MaskFile(colors=((9, 9, 9),)), np.stack([INK] * 3, axis=2), r"has the colour \(1, 1, 1\)"),
        (MaskFile(colors=((9, 9, 9),)), INK, "is grey, and its classes have colours"),
    ],
)
def test_files_that_contradict_the_task_are_refused(tmp_path, truth, value, message):
    with pytest.raises(UserError, match=message):
        read(truth, 1, mask=saved(tmp_path, "m.png", value))


def test_channels_that_are_no_classes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"has the shape \(6, 9\), and there are 2 classes: give MaskFile"):
        read(MaskFile(), 2, mask=saved(tmp_path, "m.png", INK))
