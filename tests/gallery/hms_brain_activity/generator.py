"""What the files of hms-harmful-brain-activity-classification look like; the spectrograms have 20 frequencies
of its 100, and there are no EEGs."""

import numpy as np
import pandas as pd

KINDS = ("Seizure", "LPD", "GPD", "LRDA", "GRDA", "Other")
NAMES = [f"{kind.lower()}_vote" for kind in KINDS]
REGIONS = ("LL", "RL", "LP", "RP")
ROWS, BANDS = 300, 20


def write_sample(raw, seed):
    """Write the folders of spectrograms and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    train = []
    for number, spectrogram in enumerate(_ids(90, random)):
        shares = random.dirichlet([0.15] * len(KINDS))
        _write(raw / "train_spectrograms", spectrogram, shares, ROWS + 20, random)
        for part, offset in enumerate((0.0, 14.0, 40.0)):
            votes = random.multinomial(random.integers(3, 18), shares)
            about = {"eeg_id": spectrogram // 2, "eeg_sub_id": part, "eeg_label_offset_seconds": offset}
            about |= {"spectrogram_id": spectrogram, "spectrogram_sub_id": part}
            about |= {"spectrogram_label_offset_seconds": offset, "label_id": spectrogram + part}
            about |= {"patient_id": number // 2, "expert_consensus": KINDS[int(votes.argmax())]}
            train.append(about | dict(zip(NAMES, votes.tolist(), strict=True)))
    pd.DataFrame(train).to_csv(raw / "train.csv", index=False)
    test = []
    for spectrogram in _ids(60, random):
        shares = random.dirichlet([0.15] * len(KINDS))
        _write(raw / "test_spectrograms", spectrogram, shares, ROWS, random)
        votes = random.multinomial(random.integers(10, 18), shares)
        about = {"spectrogram_id": spectrogram, "eeg_id": spectrogram // 2, "patient_id": 7}
        test.append(about | dict(zip(NAMES, votes.tolist(), strict=True)))
    table = pd.DataFrame(test)
    table[["spectrogram_id", "eeg_id", "patient_id"]].to_csv(raw / "test.csv", index=False)
    sample = table[["eeg_id"]].assign(**dict.fromkeys(NAMES, 1 / len(NAMES)))
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return table[["eeg_id", *NAMES]].rename(columns={"eeg_id": "image_id"}).astype({"image_id": "str"})


def _ids(count, random):
    return (random.choice(10**7, count, replace=False) * 100 + 10**9).tolist()


def _write(folder, name, shares, rows, random):
    """Each kind has its own half of the frequencies of a region, which is as loud as its share."""
    loud = np.zeros((len(REGIONS), 2))
    loud.flat[: len(KINDS)] = shares
    powers = np.exp(6 * np.repeat(loud, BANDS // 2, axis=1).ravel() + random.normal(0, 1, (rows, 4 * BANDS)))
    powers[random.random(powers.shape) < 0.01] = np.nan
    frequencies = np.linspace(0.59, 19.92, BANDS)
    names = [f"{region}_{frequency:.2f}" for region in REGIONS for frequency in frequencies]
    table = pd.DataFrame(powers.astype("float32"), columns=names)
    table.insert(0, "time", np.arange(1, 2 * rows, 2))
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / f"{name}.parquet")
