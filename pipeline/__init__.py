"""From raw files to a submission on Kaggle. Knows no competition by name.

The rooms, in the order in which an image goes through them; each may import only from those that `make lint`
puts below it (pyproject.toml has the order):

raw -> prepared frame -> folds -> training -> prediction -> submission -> Kaggle

==============  ===========================================================================================
raw             archives, downloads, decoding: bytes -> files -> arrays
readers         from a row of a frame to an array: photographs, or what a competition brings instead
frame           the frames' schema, annotation files, joining by id, folds, submission columns
competition     what a competition is, where its raw files come from, its prepared data, what makes a result
inputs          images to batches: preprocessing, augmentation, loading
networks        builders, weights, frozen stages, parameter groups
training        one fold: the job, the loop, checkpoints
prediction      test-time augmentation, tiles, blending
tasks           what differs between classification, segmentation and detection, a folder for each
metrics         how predictions are graded
experiment      a run of folds, and runs made of runs
search          trials over the options of an experiment, and what they show
export          trained networks for other programs, and for any folder of images
delivery        predictions -> submission file, ledger row, report; upload
audit           leaks and label problems: copies, near copies, what straddles folds
runs            the run folder, the ledger, provenance
kaggle          Kaggle's own client
kernel          a Kaggle kernel: bundle, rehearsal, push
track           wandb, the leaderboard page
stages          the command line, a file a stage
config          the options that all tasks share, with their limits
base            errors, files, progress, devices, paths, figures
==============  ===========================================================================================
"""
