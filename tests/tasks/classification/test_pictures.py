"""The confusion matrix, also of more classes than a picture has room for."""

import numpy as np
from PIL import Image

from pipeline.tasks.classification.pictures import MOST, confusion, plot_confusion


def test_confusion_is_the_share_of_each_true_class():
    shown, share = confusion(list("aabb"), list("abbb"), list("abc"))
    assert shown.tolist() == [0, 1, 2]
    assert share.tolist() == [[50, 50, 0], [0, 100, 0], [0, 0, 0]]


def test_of_many_classes_those_with_the_most_mistakes_are_shown(tmp_path):
    classes = [f"k{number:04d}" for number in range(2000)]
    truth = [name for name in classes for _ in range(2)]
    predicted = list(truth)
    predicted[2 * 1500] = classes[700]  # half of 1500 is taken for 700
    shown, share = confusion(truth, predicted, classes)
    assert len(shown) == MOST and {700, 1500} <= set(shown.tolist())
    row, column = np.searchsorted(shown, [1500, 700])
    assert share[row].sum() == 100 and share[row, column] == 50
    path = plot_confusion(truth, predicted, classes, tmp_path / "confusion.png")
    with Image.open(path) as picture:
        assert max(picture.size) < 3000
