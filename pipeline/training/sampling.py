"""How often each training image is drawn."""

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some

WEIGHT = "weight"
"""Column of a train frame: how often an image is drawn relative to the others."""


def drawing_weights(frame: pd.DataFrame, strata: pd.Series, oversample: float) -> np.ndarray | None:
    """Weights (N,) of the rows of `frame`; None where each is to be visited once a pass.

    Parameters
    ----------
    strata : one value per row, such as the label.
    oversample : power of the inverse size of a row's stratum: 1 draws all strata equally often.

    Raises
    ------
    UserError : a weight that is no number above 0.
    """
    weights = np.ones(len(frame))
    if WEIGHT in frame:
        given = pd.to_numeric(frame[WEIGHT], errors="coerce")
        wrong = frame.loc[~(np.isfinite(given) & (given > 0)), "image_id"]
        if len(wrong):
            raise UserError(f"the weight of {len(wrong)} image(s) is no number above 0: {name_some(wrong)}")
        weights = weights * given.to_numpy()
    if oversample:
        sizes = strata.map(strata.value_counts()).to_numpy(dtype="float64")
        weights = weights / sizes**oversample
    return weights if oversample or WEIGHT in frame else None
