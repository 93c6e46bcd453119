"""Figures show what they are given, whatever characters it has."""

import numpy as np
import pytest
from matplotlib.image import imread

from pipeline.base.figures import new_figure, plot_grid, save_figure

NAMES = ["$100$", "$\\frac$", "a$b", "^_{", "\\"]
"""Class names that matplotlib takes for formulae, or would fail on."""


@pytest.mark.parametrize("name", NAMES)
def test_a_class_name_is_no_formula_wherever_it_stands(tmp_path, name):
    figure = new_figure((3, 3))
    axis = figure.subplots()
    axis.plot([0, 1], [1, 2], label=name)
    axis.set_xticks([0, 1], [name, name])
    axis.set(title=name, xlabel=name)
    axis.text(0, 1, name)
    axis.legend()
    save_figure(figure, tmp_path / "figure.png")
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    plot_grid([(pixels, name)], name, tmp_path / "grid.png")
    assert imread(tmp_path / "figure.png").std() > 0 < imread(tmp_path / "grid.png").std()


def test_a_logarithmic_axis_keeps_its_powers(tmp_path):
    figure = new_figure((3, 3))
    axis = figure.subplots()
    axis.plot([1e-6, 10], [1, 2])
    axis.set_xscale("log")
    save_figure(figure, tmp_path / "figure.png")
    assert all(label.get_parse_math() for label in axis.get_xticklabels())
    assert not axis.title.get_parse_math()
