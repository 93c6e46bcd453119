"""Hotdog's raw layouts: class folders, test images in a folder or in telling ones, with and without a sample
file."""

import itertools
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from competitions.hotdog import sample
from competitions.hotdog.competition import CLASSES, Competition
from competitions.hotdog.configs import CONFIGS
from pipeline.base.errors import UserError
from pipeline.competition.evaluate import evaluation_of
from pipeline.frame.schema import check_image_frame
from pipeline.networks.build import build_classifier
from pipeline.networks.groups import parameter_groups
from pipeline.raw.files import RawFiles, open_raw
from pipeline.raw.images import read_rgb

HOTDOG = Competition()


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, 0, 0)).save(path)


@pytest.fixture
def kaggle_like(tmp_path) -> Path:
    """train/<class>/, flat test/ and a sample file; one name is in both classes."""
    raw = tmp_path / "raw"
    for number, name in enumerate(["hotdog/1.jpg", "hotdog/2.png", "not-hotdog/1.jpg", "not-hotdog/3.jpeg"]):
        picture(raw / "train" / name, number)
    for number in (1, 2, 10):
        picture(raw / "test" / f"{number}.jpg", 100 + number)
    (raw / "sample_submission.csv").write_text("id,hotdog\n10,0.5\n1,0.5\n2,0.5\n")
    return raw


@pytest.fixture
def public_archive(tmp_path) -> Path:
    """A zip in the public archive's layout: all wrapped in one folder, test images in folders too."""
    inside = tmp_path / "content" / "hotdog"
    for split, count in (("train", 6), ("test", 9)):
        for row, label in enumerate(CLASSES):
            for number in range(count):
                picture(
                    inside / split / label / f"{number}.png", (10 if split == "test" else 100) * row + number
                )
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "hotdog.zip", "w") as archive:
        for path in sorted(inside.rglob("*.png")):
            archive.write(path, path.relative_to(inside.parent))
    return tmp_path / "mirror"


class TestFolders:
    def test_labels_are_the_folders_and_ids_are_unique(self, kaggle_like):
        train = check_image_frame(HOTDOG.load_train(RawFiles((kaggle_like,))), ("label",), "train")
        assert dict(zip(train["image_id"], train["label"], strict=True)) == {
            "hotdog/1": "hotdog",
            "hotdog/2": "hotdog",
            "not-hotdog/1": "not-hotdog",
            "not-hotdog/3": "not-hotdog",
        }
        for row in train.itertuples():
            assert Path(row.path).is_file() and Path(row.path).parent.name == row.label
            assert Path(row.path).stem == row.image_id.split("/")[1]

    def test_test_images_have_their_files_names(self, kaggle_like):
        test = HOTDOG.load_test(RawFiles((kaggle_like,)))
        assert sorted(test["image_id"]) == ["1", "10", "2"]
        assert all(Path(row.path).stem == row.image_id for row in test.itertuples())

    def test_a_folder_of_another_name_is_named(self, kaggle_like):
        picture(kaggle_like / "train" / "hot_dog" / "9.jpg", 9)
        with pytest.raises(
            UserError, match=r"train has the folder\(s\) hot_dog, and the classes are hotdog, not"
        ):
            HOTDOG.load_train(RawFiles((kaggle_like,)))

    def test_a_class_without_images_is_named(self, kaggle_like):
        shutil.rmtree(kaggle_like / "train" / "not-hotdog")
        with pytest.raises(UserError, match="found no train/not-hotdog"):
            HOTDOG.load_train(RawFiles((kaggle_like,)))

    def test_two_files_for_one_id_are_named(self, kaggle_like):
        picture(kaggle_like / "train" / "hotdog" / "1.png", 9)
        with pytest.raises(UserError, match=r"more than one image for 1 id\(s\): 1\.jpg, 1\.png"):
            HOTDOG.load_train(RawFiles((kaggle_like,)))

    def test_images_in_no_folder_are_counted_and_left_out(self, kaggle_like, capsys):
        picture(kaggle_like / "train" / "7.jpg", 9)
        assert len(HOTDOG.load_train(RawFiles((kaggle_like,)))) == 4
        assert "warning: 1 images in" in (said := capsys.readouterr().err) and "left out: 7.jpg" in said


class TestUnlabelled:
    """Test images lie in a folder or in its folders; a folder without images is neither."""

    def test_images_both_loose_and_in_a_folder_are_refused_by_name(self, kaggle_like):
        picture(kaggle_like / "test" / "extra" / "77.png", 9)
        with pytest.raises(
            UserError, match=r"test has images in folders \(extra\) and 3 in none: 1\.jpg, 10\.jpg, 2\.jpg"
        ):
            HOTDOG.load_test(RawFiles((kaggle_like,)))

    def test_folders_without_images_are_ignored(self, kaggle_like):
        (kaggle_like / "test" / "extra").mkdir()
        (kaggle_like / "test" / "notes").mkdir()
        (kaggle_like / "test" / "notes" / "read me.txt").write_text("no image")
        assert sorted(HOTDOG.load_test(RawFiles((kaggle_like,)))["image_id"]) == ["1", "10", "2"]

    def test_images_further_down_are_not_lost_in_silence(self, kaggle_like):
        picture(kaggle_like / "test" / "extra" / "more" / "77.png", 9)
        with pytest.raises(UserError, match=r"images in folders \(extra\) and 3 in none"):
            HOTDOG.load_test(RawFiles((kaggle_like,)))
        for name in ("1.jpg", "2.jpg", "10.jpg"):
            (kaggle_like / "test" / name).unlink()
        with pytest.raises(UserError, match=r"test/extra has images in folders \(more\)"):
            HOTDOG.load_test(RawFiles((kaggle_like,)))


class TestSampleFile:
    def test_the_organisers_is_read_as_it_is(self, kaggle_like):
        frame = HOTDOG.load_sample_submission(RawFiles((kaggle_like,)))
        assert frame["id"].tolist() == ["10", "1", "2"] and frame["hotdog"].tolist() == ["0.5"] * 3

    def test_without_one_it_is_made_of_the_test_ids_in_their_order(self, kaggle_like):
        (kaggle_like / "sample_submission.csv").unlink()
        raw = RawFiles((kaggle_like,))
        frame = HOTDOG.load_sample_submission(raw)
        assert frame["id"].tolist() == ["1", "2", "10"]
        test = HOTDOG.load_test(raw)
        HOTDOG.submission_format(CLASSES).check_sample(frame, test)

    def test_a_broken_one_is_not_replaced_in_silence(self, kaggle_like):
        (kaggle_like / "sample_submission.csv").write_text("id,dog\n1,0.5\n")
        raw = RawFiles((kaggle_like,))
        sample, test = HOTDOG.load_sample_submission(raw), HOTDOG.load_test(raw)
        assert list(sample.columns) == ["id", "dog"]
        with pytest.raises(UserError, match=r"has the columns \['id', 'dog'\], not \['id', 'hotdog'\]"):
            HOTDOG.submission_format(CLASSES).check_sample(sample, test)


class TestPublicArchive:
    def test_it_loads(self, public_archive, tmp_path):
        raw = open_raw(public_archive, tmp_path / "extracted")
        train, test = HOTDOG.load_train(raw), HOTDOG.load_test(raw)
        assert train["label"].value_counts().to_dict() == {"hotdog": 6, "not-hotdog": 6}
        assert set(test["image_id"]) == {str(number) for number in range(1, 19)}
        assert list(test.columns) == ["image_id", "path"]
        assert HOTDOG.load_sample_submission(raw)["id"].tolist() == [str(number) for number in range(1, 19)]

    def test_test_ids_say_nothing_about_the_folder_or_the_name(self, public_archive, tmp_path):
        """The same pictures under the other folder and other names get the same ids."""
        test = HOTDOG.load_test(open_raw(public_archive, tmp_path / "extracted"))
        swapped = tmp_path / "swapped"
        for number, row in enumerate(test.itertuples()):
            path = Path(row.path)
            other = CLASSES[1 - CLASSES.index(path.parent.name)]
            (swapped / "test" / other).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, swapped / "test" / other / f"{1000 - number}.png")
        again = HOTDOG.load_test(RawFiles((swapped,)))
        pixels = [
            {row.image_id: read_rgb(row.path, row.image_id).tobytes() for row in frame.itertuples()}
            for frame in (test, again)
        ]
        assert pixels[0] == pixels[1]
        labels = [Path(path).parent.name for path in test["path"]]
        assert sum(a != b for a, b in itertools.pairwise(labels)) > 1, "the classes are mixed"


class TestScores:
    truth = pd.DataFrame(
        {"image_id": list("abcd"), "label": ["hotdog", "hotdog", "not-hotdog", "not-hotdog"]}
    )

    def predictions(self, hotdog: list[float]) -> pd.DataFrame:
        values = np.asarray(hotdog, dtype="float32")
        return pd.DataFrame({"image_id": list("abcd"), "hotdog": values, "not-hotdog": 1 - values})

    def handed_in(self, hotdog: list[float]) -> pd.DataFrame:
        predictions = self.predictions(hotdog)
        return HOTDOG.to_submission(predictions, predictions[["image_id"]], CLASSES)

    def test_accuracy_and_log_loss(self):
        predictions = self.predictions([0.9, 0.4, 0.2, 0.5 + 1e-3])
        found = evaluation_of(HOTDOG, self.truth, predictions, CLASSES)
        assert found.score == 0.5
        expected = -np.mean(np.log([0.9, 0.4, 0.8, 0.499]))
        assert found.extra == {"log_loss": pytest.approx(expected, abs=1e-5)}

    def test_the_order_of_the_classes_does_not_matter(self):
        predictions = self.predictions([0.9, 0.4, 0.2, 0.6])
        scores = [evaluation_of(HOTDOG, self.truth, predictions, order) for order in (CLASSES, CLASSES[::-1])]
        assert scores[0].score == scores[1].score == 0.5 and scores[0].extra == scores[1].extra

    def test_a_submission_has_the_probability_of_a_hotdog(self):
        frame = self.handed_in([0.9, 0.4, 0.0, 1.0])
        assert list(frame.columns) == ["id", "hotdog"]
        assert frame["hotdog"].tolist() == pytest.approx([0.9, 0.4, 0, 1])

    def test_a_rounding_error_is_still_a_probability(self):
        above = float(np.nextafter(np.float32(1), np.float32(2)))
        assert self.handed_in([above, 0.4, 0.2, 0.6])["hotdog"].max() == 1


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """A small generated sample and the truth of its test images."""
    raw = tmp_path_factory.mktemp("hotdog")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "TRAIN", 120)
        patch.setattr(sample, "TEST", 20)
        return raw, sample.write_sample(raw, CLASSES, seed=0)


class TestSample:
    def test_classes_are_balanced_and_every_kind_of_file_is_there(self, written):
        raw, truth = written
        assert truth["label"].value_counts().to_dict() == {"hotdog": 10, "not-hotdog": 10}
        seen, sizes = set(), set()
        for path in (raw / "train").glob("*/*"):
            with Image.open(path) as image:
                turned = image.getexif().get(sample.ORIENTATION, 1) != 1
                seen.add((image.format, image.mode, turned))
                sizes.add(image.size)
        assert seen == {
            ("JPEG", "RGB", False),
            ("JPEG", "RGB", True),
            ("JPEG", "L", False),
            ("JPEG", "CMYK", False),
            ("PNG", "RGBA", False),
            ("PNG", "I;16", False),
        }
        assert len(sizes) > 60
        assert all(96 <= side <= 200 for size in sizes for side in size)

    @pytest.mark.parametrize("kind", sample.FILES)
    def test_every_kind_of_file_shows_the_same_picture(self, tmp_path, kind):
        random = np.random.default_rng(3)
        original = sample.draw_dish("hotdog", random)
        sample.save_as(kind, original, tmp_path / "1", random)
        (path,) = tmp_path.iterdir()
        shown = read_rgb(path, "1").astype(float)
        expected = original.convert("RGB")
        if kind in ("grey", "deep"):
            expected = expected.convert("L").convert("RGB")
        wanted = np.asarray(expected, dtype=float)
        if kind == "transparent":
            opaque = np.asarray(original.getchannel("A")) == 255
            assert (shown[np.asarray(original.getchannel("A")) == 0] == 255).all()
            shown, wanted = shown[opaque], wanted[opaque]
        assert shown.shape == wanted.shape
        assert np.abs(shown - wanted).mean() < 8  # what JPEG loses; turned the wrong way it would be far more


class TestConfigs:
    def test_names(self):
        assert {"sample", "fast", "base", "probe", "scratch"} == set(CONFIGS)

    def test_all_but_scratch_and_sample_start_from_published_weights(self):
        assert {name for name, config in CONFIGS.items() if config.model.pretrained} == {
            "fast",
            "base",
            "probe",
        }

    def test_fine_tuning_gives_the_head_ten_times_the_backbones_rate(self):
        config = CONFIGS["fast"]
        model = build_classifier(config.model, 2, load=False)
        groups = parameter_groups(model, config.resolved().train)
        scales = {group.name: group.scale for group in groups}
        assert scales["head"] == pytest.approx(10 * scales["backbone"])

    def test_the_probe_trains_the_head_alone(self):
        config = CONFIGS["probe"]
        model = build_classifier(config.model, 2, load=False)
        assert {group.name for group in parameter_groups(model, config.train)} == {"head"}


def test_the_real_photographs_load(real_data):
    raw = RawFiles((real_data / "hotdog",))
    train = check_image_frame(HOTDOG.load_train(raw), ("label",), "train")
    test = check_image_frame(HOTDOG.load_test(raw), (), "test")
    assert (len(train), len(test)) == (498, 500) and set(train["label"]) == set(CLASSES)
    HOTDOG.submission_format(CLASSES).check_sample(HOTDOG.load_sample_submission(raw), test)
