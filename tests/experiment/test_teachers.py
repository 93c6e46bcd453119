"""Learning from what an earlier run predicts: only honestly, counted by content, else refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from competitions.cifar10.competition import Competition
from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.base.paths import Paths
from pipeline.competition.prepared import FRAMES, Prepared, open_prepared, seal
from pipeline.config.teachers import DistillConfig, PseudoConfig
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.work import finish
from pipeline.frame.values import frame_of
from pipeline.inputs.batches import Images, JoinedImages
from pipeline.runs.run import Run, read_frame, save_frame
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.training.lessons import Lessons
from tests.helpers import TINY
from tests.training.small import few

ONE = Config(
    folds=FoldConfig(count=2),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=1, batch_size=20, amp="off"),
    predict=PredictConfig(flip=False, amp="off"),
)


@pytest.fixture(scope="module")
def data(prepared_sample, tmp_path_factory) -> Prepared:
    return few(prepared_sample("cifar10").data, tmp_path_factory.mktemp("few") / "data", train=60, test=12)


@pytest.fixture
def make(data, tmp_path):
    """Function from options to an experiment; all are of one project."""

    def made(config: Config = ONE, data: Prepared = data, **options) -> Experiment:
        return Experiment(
            competition=Competition(),
            name="one",
            config=replace(config, **options),
            source_kind="sample",
            data=data,
            paths=Paths(tmp_path / "data", tmp_path / "runs", tmp_path / "submissions"),
            device="cpu",
        )

    return made


@pytest.fixture
def teacher(make, data) -> Run:
    """A finished run whose two folds predict different classes for the test images, ever surer."""
    experiment = make()
    run, folds = experiment.run, experiment.folds
    save_frame(folds, run.folder / "folds.parquet")
    ids, sure = data.test["image_id"].to_numpy(), np.linspace(0.3, 0.96, len(data.test))
    for fold in range(2):
        save_frame(frame_of(ids, _sure_of(fold, sure), data.classes), run.fold(fold) / "test.parquet")
    own = data.train["image_id"].to_numpy()
    save_frame(frame_of(own, _sure_of(7, np.full(len(own), 0.7)), data.classes), run.folder / "oof.parquet")
    run.finish({})
    return run


def _sure_of(place: int, sure: np.ndarray) -> np.ndarray:
    """Probabilities (N, 10): `sure` of one class, the rest shared by the others."""
    values = np.repeat((1 - sure[:, None]) / 9, 10, axis=1)
    values[:, place] = sure
    return values


def lessons(experiment: Experiment, fold: int) -> Lessons:
    return experiment.job(fold).open().lessons


class TestPseudoLabels:
    def test_each_fold_learns_from_the_model_that_has_not_seen_it(self, make, teacher, data):
        pupil = make(pseudo=PseudoConfig(run=teacher.name))
        for fold in range(2):
            learned = lessons(pupil, fold)
            added = learned.frame.iloc[30:]
            assert added["image_id"].tolist() == data.test["image_id"].tolist()
            assert set(added["label"]) == {data.classes[fold]}
            assert learned.targets.fixed is not None and learned.targets.fixed[30:].tolist() == [fold] * 12
            assert learned.notes == ["12 of 12 test images added with their hard pseudo-labels"]

    def test_what_is_added_are_the_test_images(self, make, teacher, data):
        learned = lessons(make(pseudo=PseudoConfig(run=teacher.name)), 1)
        pixels = learned.images.pixels(learned.rows)
        packed = data.images("test").packed
        assert packed is not None and (pixels[30:] == packed).all()
        assert all(
            (learned.images.read(int(row)) == one).all()
            for row, one in zip(learned.rows, pixels, strict=True)
        )

    def test_nothing_more_is_measured_on(self, make, teacher):
        plain, pupil = make(), make(pseudo=PseudoConfig(run=teacher.name))
        for fold in range(2):
            rows = pupil.job(fold).open().valid_rows
            assert rows.tolist() == plain.job(fold).open().valid_rows.tolist()

    def test_only_the_surest_are_taken(self, make, teacher, data):
        learned = lessons(make(pseudo=PseudoConfig(run=teacher.name, threshold=0.85)), 0)
        assert learned.frame["image_id"].tolist()[30:] == data.test["image_id"].tolist()[-2:]
        assert learned.notes == ["2 of 12 test images added with their hard pseudo-labels"]

    def test_soft_ones_are_the_probabilities(self, make, teacher):
        learned = lessons(make(pseudo=PseudoConfig(run=teacher.name, kind="soft", threshold=0.85)), 1)
        fixed = learned.targets.fixed
        assert fixed is not None and fixed.shape == (32, 10)
        assert (
            fixed[:30].sum(dim=1).tolist() == [1] * 30 and fixed[:30].max(dim=1).values.tolist() == [1] * 30
        )
        np.testing.assert_allclose(fixed[30:].numpy(), _sure_of(1, np.array([0.9, 0.96])), atol=1e-6)

    def test_a_threshold_that_nothing_reaches_is_refused(self, make, teacher):
        with pytest.raises(UserError, match=r"as surely as --pseudo\.threshold 0\.99 asks: lower it$"):
            lessons(make(pseudo=PseudoConfig(run=teacher.name, threshold=0.99)), 0)

    def test_a_copy_of_an_image_that_is_measured_on_is_left_out(self, make, teacher, data):
        opened = make(pseudo=PseudoConfig(run=teacher.name)).job(0).open()
        hashes = opened.data.test["content_hash"].tolist()
        opened.data.test["content_hash"] = [opened.truth["content_hash"].iat[0], *hashes[1:]]
        assert opened.lessons.frame["image_id"].tolist()[30:] == data.test["image_id"].tolist()[1:]

    def test_of_a_run_made_of_runs_the_mean_of_its_members_is_taken(self, make, teacher, data):
        other = make(train=replace(ONE.train, seed=3)).run
        save_frame(make().folds, other.folder / "folds.parquet")
        ids, sure = data.test["image_id"].to_numpy(), np.full(12, 0.8)
        for fold in range(2):
            save_frame(frame_of(ids, _sure_of(5, sure), data.classes), other.fold(fold) / "test.parquet")
        both = Run(teacher.folder.with_name("both-20260101-abc"))
        identities = {"train_data": data.train_identity, "test_data": data.test_identity}
        members = [teacher.name, other.name]
        write_json(both.folder / "config.json", {"members": members, **identities})
        both.finish({})
        learned = lessons(make(pseudo=PseudoConfig(run=both.name, kind="soft")), 1)
        mean = (_sure_of(1, np.linspace(0.3, 0.96, 12)) + _sure_of(5, sure)) / 2
        assert learned.targets.fixed is not None
        np.testing.assert_allclose(learned.targets.fixed[30:].numpy(), mean, atol=1e-6)

    def test_it_trains_and_predicts_the_same_again(self, make, teacher, capsys):
        pupil = make(
            pseudo=PseudoConfig(run=teacher.name, kind="soft"), distill=DistillConfig(run=teacher.name)
        )
        finish([pupil])
        said = capsys.readouterr().err
        assert "fold 0: cifarnet_for_tests on cpu, float32, 42 images to learn from, 30 to measure on" in said
        assert "12 of 12 test images added with their soft pseudo-labels" in said
        assert "0.5 of the targets of 30 images is predicted" in said
        files = [pupil.run.folder / name for name in ("oof.parquet", "test.parquet")]
        first = [path.read_bytes() for path in files]
        (pupil.run.fold(0) / "last.pt").unlink()
        (pupil.run.fold(0) / "test.parquet").unlink()
        again = PseudoConfig(run=teacher.name, kind="soft")
        finish([make(pseudo=again, distill=DistillConfig(run=teacher.name))])
        assert [path.read_bytes() for path in files] == first


class TestDistillation:
    @pytest.mark.parametrize("weight", [0.25, 1.0])
    def test_targets_move_towards_the_predictions(self, make, teacher, weight):
        learned = lessons(make(distill=DistillConfig(run=teacher.name, weight=weight)), 0)
        plain = lessons(make(), 0)
        assert learned.targets.fixed is not None and plain.targets.fixed is not None
        truth = np.eye(10)[plain.targets.fixed.numpy()]
        expected = (1 - weight) * truth + weight * _sure_of(7, np.full(30, 0.7))
        np.testing.assert_allclose(learned.targets.fixed.numpy(), expected, atol=1e-6)
        assert learned.notes == [f"{weight:g} of the targets of 30 images is predicted"]

    def test_a_run_without_predictions_of_all_images_is_refused(self, make, teacher):
        oof = read_frame(teacher.folder / "oof.parquet")
        save_frame(oof.iloc[:-1], teacher.folder / "oof.parquet")
        with pytest.raises(UserError, match="no out-of-fold predictions of 1 image"):
            for fold in range(2):
                lessons(make(distill=DistillConfig(run=teacher.name)), fold)

    def test_images_from_outside_keep_their_targets(self, make, teacher, data, tmp_path):
        """They are in no fold, so no run predicts them."""
        outside = data.train["image_id"].iloc[:5]
        frames = {"train": data.train.assign(extra=data.train["image_id"].isin(outside))}
        mixed = resealed(data, tmp_path / "mixed", frames)
        oof = read_frame(teacher.folder / "oof.parquet")
        save_frame(oof[~oof["image_id"].isin(outside)], teacher.folder / "oof.parquet")
        write_json(
            teacher.folder / "config.json",
            {"train_data": mixed.train_identity, "test_data": mixed.test_identity},
        )
        pupil = make(data=mixed, distill=DistillConfig(run=teacher.name))
        save_frame(pupil.folds, teacher.folder / "folds.parquet")
        learned = lessons(pupil, 0)
        assert learned.targets.fixed is not None
        own = learned.targets.fixed.numpy()[learned.frame["image_id"].isin(outside).to_numpy()]
        assert len(own) == 5 and (own.max(axis=1) == 1).all()


def resealed(data: Prepared, folder: Path, frames: dict[str, pd.DataFrame]) -> Prepared:
    """The same data with other frames."""
    folder.mkdir()
    for name in FRAMES:
        frames.get(name, getattr(data, name)).to_parquet(folder / f"{name}.parquet")
    for split in ("train", "test"):
        packed = data.images(split).packed
        assert packed is not None
        np.save(folder / f"{split}.npy", packed)
    identities = {"train_identity": folder.name, "test_identity": data.test_identity}
    seal(folder, {"classes": data.classes, **identities})
    return open_prepared(folder, data.decoding.reader)


class TestIdentity:
    def test_it_follows_from_what_is_predicted_and_not_from_the_runs_name(self, make, teacher):
        pupil = make(pseudo=PseudoConfig(run=teacher.name))
        plain, first = make().training_identity(0), pupil.training_identity(0)
        renamed = teacher.folder.with_name("another-20260101-abc")
        teacher.folder.rename(renamed)
        again = make(pseudo=PseudoConfig(run=renamed.name))
        assert again.training_identity(0) == first != plain
        assert again.run == pupil.run
        frame = read_frame(renamed / "fold0" / "test.parquet")
        save_frame(frame.assign(cat=frame["cat"] / 2), renamed / "fold0" / "test.parquet")
        other = make(pseudo=PseudoConfig(run=renamed.name))
        assert other.training_identity(0) != first
        assert other.training_identity(1) == pupil.training_identity(1), "its predictions are as they were"
        assert other.run != pupil.run

    @pytest.mark.parametrize("changes", [{"kind": "soft"}, {"threshold": 0.5}])
    def test_options_of_pseudo_labels_count(self, make, teacher, changes):
        first, other = (
            make(pseudo=PseudoConfig(run=teacher.name, **one)).training_identity(0) for one in ({}, changes)
        )
        assert first != other

    def test_the_weight_counts(self, make, teacher):
        runs = {
            make(distill=DistillConfig(run=teacher.name, weight=w)).training_identity(0) for w in (0.3, 0.6)
        }
        assert len(runs) == 2

    def test_what_changed_is_told(self, make, teacher, capsys):
        assert make(pseudo=PseudoConfig(run=teacher.name)).run
        assert "other pseudo-labels" in capsys.readouterr().err


class TestRefused:
    @pytest.mark.parametrize("option", [{"pseudo": PseudoConfig}, {"distill": DistillConfig}])
    def test_a_run_of_another_split_is_refused_and_how_to_split_is_said(self, make, teacher, option):
        ((name, kind),) = option.items()
        pupil = make(folds=FoldConfig(count=3, seed=5), **{name: kind(run=teacher.name)})
        with pytest.raises(
            UserError, match=rf"--{name} {teacher.name} was split into other folds"
        ) as refused:
            assert pupil.run
        assert str(refused.value).endswith("split alike with --folds.count 2 --folds.seed 0")

    def test_a_fold_that_was_not_trained_is_refused(self, make, teacher):
        (teacher.fold(1) / "test.parquet").unlink()
        with pytest.raises(UserError, match="has no predictions of fold 1 for the test images"):
            assert make(pseudo=PseudoConfig(run=teacher.name)).run
        assert make(folds=FoldConfig(count=2, use=1), pseudo=PseudoConfig(run=teacher.name)).run

    def test_a_run_of_other_data_is_refused(self, make, teacher):
        write_json(teacher.folder / "config.json", {"train_data": "other", "test_data": "other"})
        with pytest.raises(UserError, match="was trained on other data than this"):
            assert make(pseudo=PseudoConfig(run=teacher.name)).run

    def test_an_unfinished_run_is_refused(self, make, teacher):
        (teacher.folder / "summary.json").unlink()
        with pytest.raises(UserError, match=f"there is no finished run {teacher.name}"):
            assert make(distill=DistillConfig(run=teacher.name)).run

    def test_other_classes_are_refused(self, make, teacher):
        for path in (teacher.fold(0) / "test.parquet", teacher.folder / "oof.parquet"):
            save_frame(read_frame(path).rename(columns={"cat": "cats"}), path)
        for option in (
            {"pseudo": PseudoConfig(run=teacher.name)},
            {"distill": DistillConfig(run=teacher.name)},
        ):
            with pytest.raises(UserError, match="predicts other classes than this one"):
                lessons(make(**option), 0)


class TestJoinedImages:
    def test_images_of_different_sizes_are_read_one_by_one(self, data):
        small = np.zeros((3, 16, 16, 3), dtype="uint8")
        joined = JoinedImages.of(data.images("train"), Images(data.test.head(3), small))
        assert joined.packed_size is None and len(joined) == 63
        assert joined.read(61).shape == (16, 16, 3) and joined.read(59).shape == (32, 32, 3)
