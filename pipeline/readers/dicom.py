"""DICOM files, as scanners write them. Needs the extra ``dicom``."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.raw.levels import Levels
from pipeline.readers.reader import Reader, Row


@dataclass(frozen=True)
class Dicom(Reader):
    """The pixels of DICOM files in the unit of the file (Hounsfield for CT: stored value x slope +
    intercept), dark where little is seen: MONOCHROME1, where large values are dark, is turned round. Frames
    are channels. Colours are uint8 RGB.

    Attributes
    ----------
    window : centre and width in that unit, such as ``(40, 80)`` for a brain, mapped to 0..1 as PS3.3
        C.11.2.1.2 says; ``file``: the first that the file names; None: values are left as they are.
    """

    window: tuple[float, float] | Literal["file"] | None = None

    @property
    def levels(self) -> Levels | None:
        """See Reader."""
        return None if self.window is None else Levels(0.0, 1.0, cut=True)

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut

        with open(row["path"], "rb") as file:  # noqa: PTH123 - a missing file is told as one
            data = pydicom.dcmread(file)
        pixels = data.pixel_array
        if data.get("SamplesPerPixel", 1) != 1:
            return pixels
        # Of a 12-bit scanner's -1024 16 bits keep a sign; those of float64 are not needed.
        values = np.asarray(apply_modality_lut(pixels, data), dtype="float32")
        ends = np.asarray(apply_modality_lut(_ends(data, pixels.dtype), data), dtype="float32")
        if self.window is not None:
            centre, width, kind = self._window(data)
            values = _windowed(values, centre, width, kind)
            ends = np.array([0, 1], dtype="float32")
        if data.PhotometricInterpretation == "MONOCHROME1":
            values = ends.sum() - values
        return values.transpose(1, 2, 0) if values.ndim == 3 else values

    def _window(self, data: Any) -> tuple[float, float, str]:
        if isinstance(self.window, tuple):
            return (*self.window, "LINEAR")
        if "WindowCenter" not in data or "WindowWidth" not in data:
            raise ValueError("it names no window: give Dicom(window=(centre, width)), or window=None")
        centre, width = (np.atleast_1d(data[name].value)[0] for name in ("WindowCenter", "WindowWidth"))
        return float(centre), float(width), str(data.get("VOILUTFunction", "LINEAR") or "LINEAR")


def _ends(data: Any, dtype: np.dtype) -> np.ndarray:
    """The least and the greatest value that the file's bits could hold."""
    bits = int(data.BitsStored)
    signed = int(data.PixelRepresentation) == 1
    return np.array([-(1 << (bits - 1)), (1 << (bits - 1)) - 1] if signed else [0, (1 << bits) - 1], dtype)


def _windowed(values: np.ndarray, centre: float, width: float, kind: str) -> np.ndarray:
    """float32 0..1; see PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2
    (LINEAR_EXACT)."""
    if kind == "SIGMOID":
        return (1 / (1 + np.exp(-4 * (values - centre) / width))).astype("float32")
    if kind == "LINEAR_EXACT":
        return ((values - centre) / width + 0.5).clip(0, 1).astype("float32")
    return ((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5).clip(0, 1).astype("float32")
