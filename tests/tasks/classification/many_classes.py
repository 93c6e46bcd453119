"""Scores and blends generated predictions of very many classes, and prints what that took.

``python -m tests.tasks.classification.many_classes ROWS CLASSES`` prints the MB that the process grew by, the
seconds, and the scores.
"""

import json
import resource
import sys
import time

import numpy as np
import pandas as pd

from pipeline.competition.base import Competition
from pipeline.competition.evaluate import evaluation_of
from pipeline.delivery.submission import write_submission
from pipeline.frame.top import Top, mean_of_tops, read_top, top_frame, top_of
from pipeline.metrics.usual import ACCURACY, LOG_LOSS, f_beta, map_at, top_k_error
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.task import BlendRequest

METRICS = (ACCURACY, map_at(5), f_beta(average="macro"), top_k_error(1), LOG_LOSS)
CHUNK = 500
"""Rows that are predicted together."""


class Many(Competition):
    """A competition without files."""

    task, metric, extra_metrics = Classification(), map_at(5), METRICS
    load_train = load_test = make_sample = None  # type: ignore


def predicted(random, truth, classes):
    """A frame whose true class stands out a little."""
    parts = []
    for start in range(0, len(truth), CHUNK):
        own = truth[start : start + CHUNK]
        logits = random.standard_normal((len(own), classes), dtype="float32")
        logits[np.arange(len(own)), own] += 4
        values = np.exp(logits - logits.max(axis=1, keepdims=True))
        parts.append(top_of(values / values.sum(axis=1, keepdims=True)))
    codes, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("codes", "values"))
    return top_frame([f"i{row}" for row in range(len(truth))], Top(codes, values, classes))


def main(rows, count):
    """See the module."""
    random, classes = np.random.default_rng(0), [f"class {number}" for number in range(count)]
    truth = random.integers(0, count, rows)
    before, started = peak(), time.monotonic()
    frames = [predicted(random, truth, count) for _ in range(2)]
    made = time.monotonic()
    table = pd.DataFrame({"image_id": frames[0]["image_id"], "label": np.array(classes)[truth]})
    found = evaluation_of(Many(), table, frames[0], classes)
    scores = {metric.name: found.of(metric) for metric in METRICS}
    folds = found.fold_scores(np.arange(rows) % 5)
    mean = top_frame(frames[0]["image_id"].to_numpy(), mean_of_tops([read_top(frame) for frame in frames]))
    scored = time.monotonic()

    def score(part, predictions):
        return evaluation_of(Many(), part, predictions, classes).score

    request = BlendRequest(
        method="climb",
        oofs=frames,
        tests=frames,
        truth=table,
        folds=np.arange(rows) % 2,
        classes=classes,
        score=score,
    )
    blended = Many().task.blend(request)
    form = Many().submission_format(classes)
    ids = frames[0]["image_id"].tolist()
    test = pd.DataFrame({"image_id": ids})
    out = Many().to_submission(mean, test, classes)
    from pathlib import Path

    write_submission(out, form.sample_of(ids), test, form, Path("submission.csv"))
    scores["folds"] = float(np.mean(folds))
    scores["mean"] = score(table, mean)
    scores["climb"] = score(table, blended.oof)
    about = {"megabytes": peak() - before, "peak": peak(), "predict": made - started, "score": scored - made}
    print(json.dumps(about | {"blend and write": time.monotonic() - scored} | scores))


def peak():
    """MB that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
