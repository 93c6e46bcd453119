"""NMS, RoI and box operators: compiled kernels behind torch's dispatcher, with a plain-torch reference beside them.

Needs torch alone. `python -m ops.build` compiles, `python -m ops.doctor` says what is loaded.
"""
