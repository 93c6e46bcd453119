"""What a network is given beside the pixels of a row: how many images it has, and its table."""

import numpy as np
import pandas as pd
import torch

from pipeline.inputs.preprocess import Preprocess
from pipeline.inputs.table import encoded
from pipeline.networks.joint import Batch, Joint
from pipeline.readers.decoding import Decoding


class Beside:
    """Of some rows of a frame, in their order."""

    def __init__(self, frame: pd.DataFrame, decoding: Decoding, preprocess: Preprocess) -> None:
        counts = decoding.reader.counts(frame)
        self.counts = None if counts is None else torch.from_numpy(counts)
        self.table = torch.from_numpy(encoded(preprocess.table, frame)) if preprocess.table else None

    def join(self, pixels: torch.Tensor, places: np.ndarray | torch.Tensor) -> Batch:
        """Pixels (B, C, H, W) with what belongs to these places (B,) among the rows, on the pixels' device;
        the pixels alone where there is nothing."""
        if self.counts is None and self.table is None:
            return pixels
        chosen = torch.as_tensor(places)
        return Joint(
            pixels,
            *(
                None if values is None else values[chosen].to(pixels.device)
                for values in (self.counts, self.table)
            ),
        )
