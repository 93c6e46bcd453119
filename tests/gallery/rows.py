"""What each competition of the gallery must hand in, and how well a small model of it must do."""

from dataclasses import dataclass, field
from math import log

from tests.gallery.leaf_classification.generator import SPECIES

P = r"(0|1|0\.\d+|1\.0|\d(\.\d+)?e-\d+)"
"""A number from 0 to 1 as pandas writes it."""
FINDINGS = (
    "ETT - Abnormal,ETT - Borderline,ETT - Normal,NGT - Abnormal,NGT - Borderline,NGT - Incompletely Imaged,"
    "NGT - Normal,CVC - Abnormal,CVC - Borderline,CVC - Normal,Swan Ganz Catheter Present"
)
RUNS = r"(\d+ \d+( \d+ \d+)*)"
BOXES = r"([01]\.\d{4}( \d+){4}( [01]\.\d{4}( \d+){4})*)?"
LUNG = r"\d+ [01]\.\d{4}( \d+){4}"
CENTRE = r"U\+[0-9A-F]{4} \d+ \d+"
WHALE, ANIMAL = "(new_whale|w_[0-9a-f]{8})", "(new_individual|[0-9a-f]{12})"
DISEASE = "(complex|frog_eye_leaf_spot|healthy|powdery_mildew|rust|scab)"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A competition.

    Attributes
    ----------
    header : the submission's first line, literally.
    row : regular expression of every other line.
    chance : score of a guess: numbers at random, or the best answer that is the same for all images.
    margin : by how much the hidden images' score must be better.
    sums : whether the numbers of each row must add up to 1 within 1e-6.
    several : whether an image may have several rows, where the sample has one.
    fast : whether ``make test`` runs it; ``make test-slow`` runs the others.
    """

    slug: str
    header: str
    row: str = field(repr=False)
    chance: float
    margin: float
    sums: bool = False
    several: bool = False
    fast: bool = False


def _row(slug: str, header: str, row: str, chance: float, margin: float, **options: bool) -> Row:
    return Row(slug=slug, header=header, row=row, chance=chance, margin=margin, **options)


ROWS = (
    _row("aerial_cactus", "id,has_cactus", rf"[0-9a-f]{{32}}\.jpg,{P}", 0.5, 0.4, fast=True),
    _row("airbus_ship", "ImageId,EncodedPixels", rf"[0-9a-f]{{8}}\.jpg,{RUNS}?", 0.5, 0.1, several=True),
    _row("alaska2", "Id,Label", rf"\d{{4}}\.jpg,{P}", 0.586, 0.3),
    _row("aptos2019", "id_code,diagnosis", r"[0-9a-f]{12},[0-4]", 0, 0.5, fast=True),
    _row("carvana", "img,rle_mask", rf"[0-9a-f]{{12}}_\d\d\.jpg,{RUNS}", 0, 0.5),
    _row("cassava", "image_id,label", r"\d{10}\.jpg,[0-4]", 0.2, 0.6),
    _row("cdiscount", "_id,category_id", r"\d+,\d{10}", 1 / 12, 0.5),
    _row("clouds", "Image_Label,EncodedPixels", rf"[0-9a-f]{{8}}\.jpg_[A-Z][a-z]+,{RUNS}?", 0.5, 0.15),
    _row("denoising", "id,value", rf"\d+_\d+_\d+,{P}", 0.25, 0.1),
    _row("dogs_vs_cats_redux", "id,label", rf"\d+,{P}", log(2), 0.4, fast=True),
    _row("global_wheat", "image_id,PredictionString", rf"[0-9a-f]{{10}},{BOXES}", 0, 0.1),
    _row("google_contrails", "record_id,encoded_pixels", rf"\d{{19}},(-|{RUNS})", 0, 0.5),
    _row("great_barrier_reef", "index,annotations", rf"\d+,{BOXES}", 0, 0.3),
    _row("happywhale", "image,predictions", rf"[0-9a-f]{{14}}\.jpg,{ANIMAL}( {ANIMAL}){{4}}", 0.26, 0.3),
    _row("herbarium_2020", "Id,Predicted", r"\d+,\d+", 1 / 200, 0.2),
    _row("histopathologic_cancer", "id,label", rf"[0-9a-f]{{40}},{P}", 0.5, 0.4),
    _row(
        "hms_brain_activity",
        "eeg_id,seizure_vote,lpd_vote,gpd_vote,lrda_vote,grda_vote,other_vote",
        rf"\d+(,{P}){{6}}",
        1.14,
        0.4,
        sums=True,
    ),
    _row("hotel_id_2021", "image,hotel_id", r"[0-9a-f]{16}\.jpg,\d+( \d+){4}", 0.019, 0.4),
    _row("hubmap_kidney", "id,predicted", rf"[0-9a-f]{{10}},{RUNS}?", 0, 0.5),
    _row("humpback_whale", "Image,Id", rf"[0-9a-f]{{8}}\.jpg,{WHALE}( {WHALE}){{4}}", 0.33, 0.3),
    _row("imet_2020", "id,attribute_ids", r"[0-9a-f]{16},\d+( \d+)*", 0.214, 0.2),
    _row("inaturalist_2019", "id,predicted", r"\d+,\d+", 0.99, 0.4),
    _row("invasive_species", "name,invasive", rf"\d+,{P}", 0.5, 0.4, fast=True),
    _row("iwildcam_2019", "Id,Predicted", r"[0-9a-f]{36},\d{1,2}", 1 / 8, 0.5),
    _row("iwildcam_2020", "Id,Category", r"[0-9a-f]{36},\d{1,3}", 1 / 6, 0.5, fast=True),
    _row("kuzushiji", "image_id,labels", rf"test_\d{{5}},({CENTRE}( {CENTRE})*)?", 0, 0.4),
    _row(
        "leaf_classification",
        ",".join(["id", *sorted(SPECIES)]),
        rf"\d+(,{P}){{99}}",
        log(99),
        0.8,
    ),
    _row("paddy", "image_id,label", r"\d{6}\.jpg,[a-z_]+", 0.1, 0.5),
    _row("petfinder", "Id,Pawpularity", r"[0-9a-f]{32},\d{1,3}(\.\d+)?", 28.9, 10),
    _row(
        "plant_pathology_2020",
        "image_id,healthy,multiple_diseases,rust,scab",
        rf"Test_\d+(,{P}){{4}}",
        0.5,
        0.3,
    ),
    _row(
        "plant_pathology_2021",
        "image,labels",
        rf"[0-9a-f]{{16}}\.jpg,{DISEASE}( {DISEASE})*",
        0.4,
        0.3,
    ),
    _row("plant_seedlings", "file,species", r"[0-9a-f]{8}\.png,[A-Z][A-Za-z -]+", 1 / 12, 0.5),
    _row("ranzcr_clip", f"StudyInstanceUID,{FINDINGS}", rf"[0-9.]+(,{P}){{11}}", 0.5, 0.2),
    _row("rsna_breast_cancer", "prediction_id,cancer", rf"\d+_[LR],{P}", 0.3, 0.3, fast=True),
    _row(
        "rsna_cervical_spine",
        "row_id,fractured",
        rf"[0-9.]+_(C[1-7]|patient_overall),{P}",
        0.47,
        0.1,
    ),
    _row("rsna_miccai_brain_tumor", "BraTS21ID,MGMT_value", rf"\d{{5}},{P}", 0.5, 0.3),
    _row("sartorius", "id,predicted", rf"[0-9a-f]{{12}},{RUNS}?", 0, 0.2, several=True),
    _row("seti", "id,target", rf"[0-9a-f]{{15}},{P}", 0.5, 0.3, fast=True),
    _row(
        "severstal",
        "ImageId_ClassId,EncodedPixels",
        rf"[0-9a-f]{{8}}\.jpg_[1-4],{RUNS}?",
        0.65,
        0.1,
        fast=True,
    ),
    _row("siim_isic", "image_name,target", rf"ISIC_\d{{7}},{P}", 0.5, 0.4),
    _row(
        "state_farm",
        ",".join(["img", *(f"c{number}" for number in range(10))]),
        rf"img_\d+\.jpg(,{P}){{10}}",
        log(10),
        1,
        sums=True,
    ),
    _row("statoil_iceberg", "id,is_iceberg", rf"[0-9a-f]{{8}},{P}", log(2), 0.3),
    _row("tgs_salt", "id,rle_mask", r"[0-9a-f]{10},(\d+ \d+( \d+ \d+)*)?", 0.2, 0.2, fast=True),
    _row(
        "uw_madison",
        "id,class,predicted",
        rf"case\d+_day\d+_slice_\d{{4}},[a-z_]+,{RUNS}?",
        0.5,
        0.2,
    ),
    _row("vesuvius", "Id,Predicted", rf"[ab],{RUNS}?", 0, 0.4),
    _row(
        "vinbigdata",
        "image_id,PredictionString",
        rf"[0-9a-f]{{32}},(14 1 0 0 1 1|{LUNG}( {LUNG})*)",
        0.09,
        0.4,
    ),
    _row(
        "whale_categorization",
        "Image,Id",
        rf"[0-9a-f]{{8}}\.jpg,{WHALE}( {WHALE}){{4}}",
        0.11,
        0.3,
    ),
)
