"""Folds are a partition that no listing order, no copy and no group can leak through."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.frame.folds import TRAIN_ONLY, assign_folds, audit_folds
from pipeline.tasks.classification.config import FoldConfig


def images(
    count: int, classes: int = 3, groups: int | None = None, copies: int = 0, seed: int = 0
) -> pd.DataFrame:
    """A train frame of `count` images; the first `copies` images each have one exact copy further on."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "image_id": [f"image{number}" for number in range(count)],
            "content_hash": [f"{number:032x}" for number in range(count)],
            "label": [f"class{code}" for code in random.integers(0, classes, count)],
        }
    )
    frame.loc[count - copies :, "content_hash"] = frame["content_hash"].iloc[:copies].to_numpy()
    if groups is not None:
        frame["group"] = [f"group{code}" for code in random.integers(0, groups, count)]
    return frame


def fold_of(frame: pd.DataFrame, config: FoldConfig) -> pd.Series:
    """Fold by image id."""
    return assign_folds(frame, frame["label"], config).set_index("image_id")["fold"]


frames = st.builds(
    images,
    count=st.integers(30, 60),
    classes=st.integers(1, 6),
    groups=st.integers(20, 25),  # copies join groups, and enough have to be left for the folds
    copies=st.integers(0, 5),
    seed=st.integers(0, 100),
)
schemes = st.sampled_from(["stratified", "group", "stratified_group", "holdout"])
seeds = st.integers(0, 5)
few = settings(deadline=None, max_examples=25)


@few
@given(frames, schemes, st.integers(2, 4), seeds)
def test_every_image_is_in_exactly_one_fold_and_no_fold_is_empty(frame, scheme, count, seed):
    result = assign_folds(frame, frame["label"], FoldConfig(scheme=scheme, count=count, seed=seed))
    assert result["image_id"].tolist() == frame["image_id"].tolist()
    expected = {TRAIN_ONLY, 0} if scheme == "holdout" else set(range(count))
    assert set(result["fold"]) == expected
    assert result["fold"].dtype == "int64"


@few
@given(frames, schemes, seeds, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(frame, scheme, seed, random):
    config = FoldConfig(scheme=scheme, count=3, seed=seed)
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order].reset_index(drop=True)
    pd.testing.assert_series_equal(fold_of(frame, config), fold_of(shuffled, config).loc[frame["image_id"]])


@pytest.mark.parametrize("scheme", ["stratified", "group", "stratified_group", "holdout"])
def test_the_seed_decides_the_split(scheme):
    frame = images(200, groups=40)
    config = FoldConfig(scheme=scheme, seed=1)
    pd.testing.assert_series_equal(fold_of(frame, config), fold_of(frame, config))
    assert (fold_of(frame, config) != fold_of(frame, FoldConfig(scheme=scheme, seed=2))).any()


@few
@given(st.integers(30, 80), st.integers(2, 5), st.integers(2, 5), seeds)
def test_stratified_folds_hold_each_class_within_one_of_an_even_share(count, classes, folds, seed):
    frame = images(count, classes, seed=seed)
    spread = pd.crosstab(frame["label"], fold_of(frame, FoldConfig(count=folds, seed=seed)).to_numpy())
    common = spread[spread.sum(axis=1) >= folds]
    even = common.sum(axis=1).to_numpy()[:, None] / folds
    assert (np.abs(common.to_numpy() - even) < 1).all()


@few
@given(frames, st.sampled_from(["group", "stratified_group"]), seeds)
def test_a_group_never_straddles_folds(frame, scheme, seed):
    fold = fold_of(frame, FoldConfig(scheme=scheme, count=3, seed=seed))
    assert (fold.groupby(frame["group"].to_numpy()).nunique() == 1).all()


@few
@given(frames, schemes, seeds)
def test_exact_copies_never_straddle_folds(frame, scheme, seed):
    """Also with the group schemes, where copies may lie in different groups: those groups stay together."""
    fold = fold_of(frame, FoldConfig(scheme=scheme, count=3, seed=seed))
    assert (fold.groupby(frame["content_hash"].to_numpy()).nunique() == 1).all()


def test_groups_that_share_a_copy_stay_together_through_a_chain():
    """a and b share one image, b and c another: all three are one group, whatever the seed."""
    frame = images(40)
    frame["group"] = [*"aabbcc", *(f"other{number}" for number in range(34))]
    frame.loc[[1, 2], "content_hash"] = "copy 1"
    frame.loc[[3, 4], "content_hash"] = "copy 2"
    for seed in range(10):
        assert fold_of(frame, FoldConfig(scheme="group", count=5, seed=seed)).iloc[:6].nunique() == 1


@few
@given(st.integers(40, 200), st.integers(1, 4), st.floats(0.05, 0.95), seeds)
def test_holdout_takes_its_share_of_every_class(count, classes, ratio, seed):
    frame = images(count, classes, seed=seed)
    held_out = fold_of(frame, FoldConfig(scheme="holdout", valid_ratio=ratio, seed=seed)).to_numpy() == 0
    for label in frame["label"].unique():
        members = held_out[frame["label"] == label]
        if len(members) > 1:
            assert 1 <= members.sum() <= len(members) - 1, "each class is both learnt and measured"
            assert abs(members.sum() - ratio * len(members)) <= 1


def test_holdout_of_a_tenth_of_a_thousand_is_a_hundred():
    frame = images(1000, classes=1)
    assert (fold_of(frame, FoldConfig(scheme="holdout", valid_ratio=0.1)) == 0).sum() == 100


def test_classes_rarer_than_the_folds_are_spread_without_a_complaint():
    frame = images(40, classes=2)
    frame.loc[:5, "label"] = ["alone", "pair", "pair", *["three"] * 3]
    frame["group"] = frame["image_id"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scheme in ("stratified", "stratified_group"):
            assert set(fold_of(frame, FoldConfig(scheme=scheme, count=5))) == set(range(5))


@pytest.mark.parametrize("scheme", ["stratified", "stratified_group"])
def test_every_class_may_be_rarer_than_the_folds(scheme):
    frame = images(12)
    frame["label"] = frame["group"] = frame["image_id"]
    sizes = fold_of(frame, FoldConfig(scheme=scheme, count=5)).value_counts()
    assert set(sizes.index) == set(range(5)) and sizes.max() <= 3


@pytest.mark.parametrize(
    "config, message",
    [
        (
            FoldConfig(count=5),
            "5 folds need at least as many different images, and there are 3: lower folds.count",
        ),
        (
            FoldConfig(scheme="group", count=5),
            "5 folds need at least as many groups, and there are 2: lower folds.count",
        ),
        (
            FoldConfig(scheme="holdout", valid_ratio=0.1),
            "holding out 0.1 of 3 different images leaves none: add images",
        ),
    ],
)
def test_what_cannot_be_split_is_said_in_one_sentence(config, message):
    frame = images(4, copies=1).assign(label=list("abca"), group=list("ppqp"))
    with pytest.raises(UserError) as error:
        fold_of(frame, config)
    assert str(error.value) == message


def test_group_schemes_need_a_group_for_every_image():
    with pytest.raises(UserError, match=r"folds\.scheme=group needs a group column"):
        fold_of(images(10), FoldConfig(scheme="group", count=2))
    frame = images(10, groups=5)
    frame.loc[[3, 7], "group"] = None
    with pytest.raises(UserError, match="2 have none: image3, image7"):
        fold_of(frame, FoldConfig(scheme="group", count=2))


class TestAudit:
    """The fold file is checked each time it is used: it may be older than the data."""

    frame = images(20, groups=8, copies=2)

    def folds(self, scheme: str = "stratified") -> pd.DataFrame:
        return assign_folds(self.frame, self.frame["label"], FoldConfig(scheme=scheme, count=2))

    def test_what_assign_folds_made_passes(self):
        audit_folds(self.frame, self.folds())
        audit_folds(self.frame, self.folds("group"), grouped=True)

    def test_other_ids_are_named(self):
        other = self.folds().replace({"image_id": {"image4": "stranger"}})
        with pytest.raises(UserError, match=r"2 ids differ: image4, stranger"):
            audit_folds(self.frame, other)

    def test_a_missing_image_is_named(self):
        with pytest.raises(UserError, match="1 ids differ: image0"):
            audit_folds(self.frame, self.folds().iloc[1:])

    def test_an_image_in_two_folds_is_named(self):
        folds = self.folds()
        with pytest.raises(UserError, match=r"lists 1 id\(s\) twice: image3"):
            audit_folds(self.frame, pd.concat([folds, folds.iloc[[3]]]))

    def test_copies_that_straddle_are_named(self):
        folds = self.folds()
        folds.loc[folds["image_id"] == "image0", "fold"] = 0
        folds.loc[folds["image_id"] == "image18", "fold"] = 1
        with pytest.raises(UserError, match="2 identical images straddle folds: image0, image18"):
            audit_folds(self.frame, folds)

    def test_groups_may_straddle_only_where_the_split_ignores_them(self):
        frame = self.frame.assign(content_hash=self.frame["image_id"])
        folds = pd.DataFrame({"image_id": frame["image_id"], "fold": np.arange(20) % 2})
        audit_folds(frame, folds)
        with pytest.raises(UserError, match="images of one group straddle folds"):
            audit_folds(frame, folds, grouped=True)


def test_images_from_outside_are_always_trained_on_and_copies_among_them_are_refused():
    frame = pd.DataFrame({"image_id": [str(number) for number in range(30)]})
    frame["content_hash"] = frame["image_id"] + "h"
    frame["extra"] = [number >= 20 for number in range(30)]
    strata = pd.Series(["x", "y"] * 15)
    folds = assign_folds(frame, strata, FoldConfig(count=4))
    assert (folds["fold"][20:] == -1).all() and sorted(folds["fold"][:20].unique()) == [0, 1, 2, 3]
    frame.loc[25, "content_hash"] = "3h"
    with pytest.raises(UserError, match=r"copies of the competition's own.*: 25; leave them out"):
        assign_folds(frame, strata, FoldConfig(count=4))
