"""Sample submissions that do not fit the test images, or are no CSV files."""

from tests.broken.case import accepted, refused
from tests.broken.images import whole
from tests.broken.tables import gone, text

SAMPLE = "sampleSubmission.csv"

CASES = [
    accepted(
        "a sample with columns in another order",
        "cifar10",
        text("label,id\ncat,1\ncat,2\n", name=SAMPLE),
        lambda data: list(data.sample_submission) == ["label", "id"],
    ),
    accepted(
        "a sample with ids in another order",
        "cifar10",
        text("id,label\n2,cat\n1,cat\n", name=SAMPLE),
        lambda data: data.sample_submission["id"].tolist() == ["2", "1"],
    ),
    accepted(
        "a sample without an id, which is named",
        "cifar10",
        text("id,label\n1,cat\n", name=SAMPLE),
        whole,
        "1 test images are not in the sample submission",
        "2",
    ),
    accepted(
        "no sample, which is made of the test images",
        "cifar10",
        gone(SAMPLE),
        lambda data: data.sample_submission["id"].tolist() == ["1", "2"],
    ),
    accepted("a sample of made-up labels", "cifar10", text("id,label\n1,\n2,?\n", name=SAMPLE), whole),
    refused(
        "a sample with an id more",
        "cifar10",
        text("id,label\n1,cat\n2,cat\n7,cat\n", name=SAMPLE),
        "7",
        "no test image",
    ),
    refused(
        "a sample with an id twice",
        "cifar10",
        text("id,label\n1,cat\n2,cat\n2,cat\n", name=SAMPLE),
        "2",
        "sample submission",
    ),
    refused(
        "a sample of another competition",
        "cifar10",
        text("image_id,label\n1,cat\n2,cat\n", name=SAMPLE),
        "image_id",
        "sample submission",
    ),
    refused(
        "a sample with a column more", "cifar10", text("id,label,p\n1,cat,1\n2,cat,1\n", name=SAMPLE), "'p'"
    ),
    refused(
        "a sample with suffixes", "cifar10", text("id,label\n1.png,cat\n2.png,cat\n", name=SAMPLE), "suffix"
    ),
    refused(
        "a sample with decimal numbers",
        "cifar10",
        text("id,label\n1.0,cat\n2.0,cat\n", name=SAMPLE),
        "decimal point",
    ),
    refused(
        "a sample with zeros before the ids",
        "cifar10",
        text("id,label\n001,cat\n002,cat\n", name=SAMPLE),
        "leading zeros",
    ),
    refused("a sample with a blank id", "cifar10", text("id,label\n1,cat\n,cat\n", name=SAMPLE), "sample"),
    refused("an empty sample", "cifar10", text("", name=SAMPLE), SAMPLE, "is empty"),
    refused("a sample of a header alone", "cifar10", text("id,label\n", name=SAMPLE), SAMPLE, "no rows"),
    refused(
        "a sample in UTF-16", "cifar10", text("id,label\n1,cat\n2,cat\n", "utf-16", SAMPLE), SAMPLE, "UTF-8"
    ),
    refused(
        "a sample separated by semicolons",
        "cifar10",
        text("id;label\n1;cat\n2;cat\n", name=SAMPLE),
        "id;label",
    ),
    refused("a sample that is cut in a row", "cifar10", text('id,label\n1,cat\n2,"ca', name=SAMPLE), SAMPLE),
    refused(
        "a sample for another class's probability",
        "hotdog",
        text("id,not-hotdog\n1,0.5\n2,0.5\n", name="sample_submission.csv"),
        "not-hotdog",
    ),
]
