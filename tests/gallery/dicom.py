"""DICOM files for the folders of the gallery that have them."""

from pathlib import Path

import numpy as np


def write_dicom(values: np.ndarray, path: Path, **tags) -> None:
    """Write grey values (H, W) of up to 12 bits as an uncompressed file, with further tags."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = values.shape
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit = 1, 16, 12, 11
    data.PixelRepresentation, data.PhotometricInterpretation = 0, "MONOCHROME2"
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = values.clip(0, 4095).astype("uint16").tobytes()
    data.save_as(path)


def scan_of(shown: bool, random: np.random.Generator, side: int = 32) -> np.ndarray:
    """Grey values of a slice: noise, and where something is shown a bright disc."""
    values = random.normal(1000, 120, (side, side))
    if shown:
        rows, columns = np.mgrid[:side, :side]
        x, y = random.uniform(side / 4, 3 * side / 4, 2)
        values += 1800 * (np.hypot(rows - y, columns - x) < side / 6)
    return values
