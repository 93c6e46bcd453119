"""Predictions of very many classes."""

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.top import KEPT, is_top, mean_of_tops, read_top, shared, top_frame, top_of
from pipeline.frame.values import frame_of, likely, mean_of, top_names, values_of
from pipeline.metrics.classes import accuracy
from pipeline.metrics.f_score import f_beta
from pipeline.metrics.log_loss import log_loss
from pipeline.metrics.ranking import map_at_k, top_k_error

CLASSES = [f"c{number}" for number in range(700)]
RANDOM = np.random.default_rng(0)


def probabilities(rows=40, sharp=3.0):
    """Rows (N, C) of which the hundred largest hold nearly all."""
    values = np.exp(sharp * RANDOM.standard_normal((rows, len(CLASSES))))
    return values / values.sum(axis=1, keepdims=True)


DENSE = probabilities()
TRUTH = np.where(RANDOM.random(40) < 0.7, np.argsort(-DENSE)[:, 2], RANDOM.integers(0, 700, 40))


def test_the_most_probable_are_kept_and_the_rest_is_shared():
    top = top_of(DENSE)
    assert top.codes.shape == (40, KEPT)
    assert top.codes[0].tolist() == np.argsort(-DENSE[0])[:KEPT].tolist()
    laid = top.dense()
    np.testing.assert_allclose(laid.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(laid[0, top.codes[0]], np.sort(DENSE[0])[::-1][:KEPT], rtol=1e-6)
    others = np.delete(laid[0], top.codes[0])
    assert np.ptp(others) == 0 and others[0] == top.rest[0] > 0


def test_of_equal_ones_the_first_class_comes_first():
    values = np.zeros((1, 700))
    values[0, [5, 3, 600]] = 0.3
    assert top_of(values).codes[0, :3].tolist() == [3, 5, 600]


def test_scores_are_those_of_all_probabilities():
    top = top_of(DENSE)
    assert map_at_k(TRUTH, top, k=5) == map_at_k(TRUTH, DENSE, k=5)
    assert top_k_error(TRUTH, top, k=3) == top_k_error(TRUTH, DENSE, k=3)
    decided = top.codes[:, 0].astype("int64")
    assert accuracy(TRUTH, decided) == accuracy(TRUTH, DENSE.argmax(axis=1))
    assert f_beta(TRUTH, decided, average="macro") == f_beta(TRUTH, DENSE.argmax(axis=1), average="macro")
    kept = (top.codes == TRUTH[:, None]).any(axis=1)
    inside = log_loss(TRUTH[kept], top.take(np.flatnonzero(kept)))
    assert inside == pytest.approx(log_loss(TRUTH[kept], DENSE[kept]), rel=1e-5)
    assert log_loss(TRUTH, top) == pytest.approx(log_loss(TRUTH, top.dense()), rel=1e-6)


def test_a_class_that_is_not_kept_is_never_impossible():
    values = np.full((1, 700), 0.0)
    values[0, :KEPT] = 1 / KEPT
    assert 0 < log_loss(np.array([699]), top_of(values)) < 30


def test_more_places_than_are_kept_are_refused():
    with pytest.raises(ValueError, match="k is 101, and 100 classes are kept"):
        map_at_k(TRUTH, top_of(DENSE), k=101)
    with pytest.raises(ValueError, match="classes from 0 to 700"):
        map_at_k(np.array([700, 0]), top_of(DENSE[:2]), k=1)


def test_a_frame_keeps_all_of_it():
    ids = [f"i{number}" for number in range(40)]
    frame = top_frame(ids, top_of(DENSE))
    assert is_top(frame) and not is_top(frame_of(ids, DENSE, CLASSES))
    again = read_top(frame)
    assert again.classes == 700 and (again.codes == top_of(DENSE).codes).all()
    dense = frame_of(ids, DENSE, CLASSES)
    assert likely(frame, CLASSES).tolist() == likely(dense, CLASSES).tolist()
    assert top_names(frame, CLASSES, 5) == top_names(dense, CLASSES, 5)
    np.testing.assert_allclose(values_of(frame, CLASSES), again.dense())


def test_the_mean_is_that_of_what_each_gives():
    others = [probabilities(), probabilities()]
    tops = [top_of(DENSE), *(top_of(other) for other in others)]
    mean = np.mean([top.dense() for top in tops], axis=0)
    found = mean_of_tops(tops)
    assert (found.codes[:, :20] == np.argsort(-mean, axis=1)[:, :20]).all()
    np.testing.assert_allclose(found.values[:, 0], mean.max(axis=1), rtol=1e-5)
    codes, values = shared(tops)
    np.testing.assert_allclose(values[1, 0], tops[1].dense()[0, codes[0]], rtol=1e-6)
    ids = [str(number) for number in range(40)]
    framed = mean_of([top_frame(ids, top) for top in tops])
    assert (read_top(framed).codes == found.codes).all()


def test_what_would_fill_the_memory_is_refused():
    top = top_of(np.tile(DENSE[:1], (2, 1)))
    many = type(top)(np.repeat(top.codes, 100_000, axis=0), np.repeat(top.values, 100_000, axis=0), 700)
    with pytest.raises(UserError, match="700 classes for each of 200,000 rows"):
        values_of(top_frame(["x"] * 200_000, many), CLASSES)
