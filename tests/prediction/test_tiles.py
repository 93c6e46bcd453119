"""Tiled prediction: the same as the whole image for a network that looks at single pixels, at every size."""

import itertools

import pytest
import torch

from pipeline.prediction.tiles import predict_tiled


def pointwise(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([[1.0, -2, 0.5], [0.3, 0.7, -1], [-1, 1, 1], [2, 0, -0.4]])
    return torch.einsum("kc,nchw->nkhw", weights, images).softmax(1)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.75])
@pytest.mark.parametrize("size", [(16, 16), (40, 61), (5, 50), (50, 3), (7, 9), (1, 1), (17, 16)])
def test_a_pointwise_model_gives_what_it_gives_on_the_whole_image(size, overlap):
    image = torch.randn(3, *size, generator=torch.Generator().manual_seed(0))
    found = predict_tiled(pointwise, image, 16, overlap)
    assert found.dtype == torch.float32 and found.shape == (4, *size)
    torch.testing.assert_close(found, pointwise(image[None])[0], atol=1e-6, rtol=1e-5)


def test_the_batch_size_changes_nothing_and_every_call_gets_whole_tiles():
    image = torch.randn(3, 45, 70, generator=torch.Generator().manual_seed(0))
    shapes = []

    def model(images: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(images.shape))
        return torch.nn.functional.avg_pool2d(pointwise(images), 3, 1, 1)

    one, many = (predict_tiled(model, image, 24, 0.5, batch_size=size) for size in (1, 7))
    assert {shape[1:] for shape in shapes} == {(3, 24, 24)}
    assert max(shape[0] for shape in shapes) == 7
    torch.testing.assert_close(one, many, atol=1e-6, rtol=1e-5)


def test_seams_are_blended():
    """A model that answers with its tile's number makes steps; between two tiles the answer must not jump."""
    calls = itertools.count()

    def numbered(images: torch.Tensor) -> torch.Tensor:
        number = float(next(calls))
        return torch.full((1, 1, 64, 64), number)

    found = predict_tiled(numbered, torch.zeros(3, 64, 112), 64, 0.25, batch_size=1)[0]
    assert found[:, :48].eq(0).all() and found[:, 64:].eq(1).all()
    assert found.diff(dim=1).min() >= 0
    assert torch.allclose(found, found[:1].expand(64, -1), atol=1e-6)
    assert found.diff(dim=1).max() < 0.25


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("width", [10, 11, 37, 100])
def test_tiles_cover_the_image_with_the_overlap_asked_for(width, overlap):
    """Painted with its own columns, the image tells where each tile begins."""
    starts = []

    def note(images: torch.Tensor) -> torch.Tensor:
        starts.extend(int(tile[0, 0, 0]) for tile in images)
        return images[:, :1]

    columns = torch.arange(width, dtype=torch.float32).expand(3, 10, width)
    predict_tiled(note, columns, 10, overlap)
    assert starts[0] == 0 and starts[-1] == width - 10
    assert all(0 < b - a <= max(1, int(10 * (1 - overlap))) for a, b in itertools.pairwise(starts))


@pytest.mark.parametrize("options", [{"tile": 0}, {"tile": 8, "overlap": 1.0}, {"tile": 8, "overlap": -0.1}])
def test_impossible_tiles_are_refused(options):
    with pytest.raises(ValueError, match="no tiles"):
        predict_tiled(pointwise, torch.zeros(3, 9, 9), **options)
