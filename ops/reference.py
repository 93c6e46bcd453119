"""What the reference operators share. They are the oracle of the tests, and the fallback without a compiler;
written to be read against the papers, not to be fast.
"""

import torch


def computed(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` in the type it is computed in: float64 stays, everything else becomes float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
