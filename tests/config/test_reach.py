"""How small an image may be made, from the config alone."""

from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st

from pipeline.config.reach import PAYS, Reach
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig
from pipeline.tasks.detection import config as detection
from pipeline.tasks.segmentation import config as segmentation

SIDES = st.integers(1, 8000)


@hypothesis.given(SIDES, SIDES, st.integers(8, 1000), st.integers(8, 1000), st.booleans())
def test_no_pixel_of_the_input_lacks_one_of_the_image(height, width, tall, wide, covers):
    shape = Reach(tall, wide, covers).shape(height, width)
    if shape is None:
        return
    enough = [shape[0] >= tall, shape[1] >= wide]
    assert all(enough) if covers else any(enough)
    assert shape[0] * shape[1] <= 1.1 * PAYS * height * width + height + width
    assert abs(shape[0] - shape[1] * height / width) <= max(1.0, height / width) + 1e-6


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [(3000, 4000, (379, 506)), (4000, 3000, (506, 379)), (400, 500, None), (240, 320, None)],
)
def test_the_smallest_crop_still_has_the_pixels_of_the_input(height, width, shape):
    config = Config(model=ModelConfig(image_size=224), augment=AugmentConfig(crop="resized", min_area=0.35))
    assert config.reach().shape(height, width) == shape


def test_without_crops_the_input_decides():
    squashed = Config(model=ModelConfig(image_size=(96, 320)), augment=AugmentConfig(crop="none"))
    assert squashed.reach() == Reach(96, 320)
    boxed = replace(squashed, model=replace(squashed.model, fit="letterbox"))
    assert boxed.reach() == Reach(96, 320, covers=False)
    middle = replace(squashed, model=replace(squashed.model, fit="center_crop"))
    assert middle.reach() == Reach(120, 400)


def test_what_is_looked_at_in_its_own_size_keeps_it():
    assert segmentation.Config().reach() is None
    boxed = segmentation.Config(model=segmentation.ModelConfig(image_size=256, fit="letterbox"))
    assert boxed.reach() == Reach(256, 256, covers=False)
    tiled = detection.Config(predict=detection.PredictConfig(tile=512))
    assert tiled.reach() is None


def test_boxes_are_looked_for_in_the_largest_scale():
    model = detection.ModelConfig(image_size=320)
    assert detection.Config(model=model).reach() == Reach(640, 640, covers=False)
    large = detection.Config(model=model, predict=detection.PredictConfig(scales=(1.0, 3.0)))
    assert large.reach() == Reach(960, 960, covers=False)
