"""What a metric is: a name, a function, its direction, and what the function is called with.

======================  ====================================================================================
needs                   the function's arguments
======================  ====================================================================================
``"probabilities"``     truth: int64 (N,) class indices, float or int (N, C) of 0 and 1 (several labels), or
                        float (N, C) of shares that sum to 1; predictions: float64 (N, C).
``"decisions"``         truth and predictions: int64 (N,) class indices, or bool (N, C) of several labels.
``"values"``            truth and predictions: float64 (N, K). Likelihoods take predictions of float64 (N, 2),
                        a value and its sigma.
``"pixels"``            one array, int64 (N, C, 3): the true positive, false positive and false negative
                        pixels of each image and class. Ignored pixels are counted nowhere. Where classes
                        exclude one another, class 0 is the background.
``"errors"``            one array, float64 (N, 3): sums of squared and of absolute errors over the values of
                        each image, and how many these are.
``"boxes"``             truth frame, predictions frame, class names.
``"frames"``            truth frame, predictions frame, class names.
======================  ====================================================================================

Rows of truth and predictions belong together, and their order changes no score. A function returns a Python
float. A score that is not defined is NaN and never an invented 0 or 1, unless the competition's definition
says so; no rows at all have no score. Shapes that do not fit and NaN among the predictions raise ValueError.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Needs = Literal["probabilities", "decisions", "values", "pixels", "errors", "boxes", "frames"]
"""What a metric's function is called with; the module's docstring has the table."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a competition grades predictions.

    Attributes
    ----------
    name : for tables and file names: letters, digits and underscores.
    function : called with what `needs` says, returns the score. A function at the top of a module, or a
        `functools.partial` of one, so that a metric can be sent to another process.
    needs : what `function` is called with.
    larger_is_better : False for losses and errors.
    takes_top : whether `function` takes a `pipeline.frame.top.Top` for predictions of very many classes; it
        is given (N, C) otherwise, where that is not too large.

    Raises
    ------
    ValueError : a name of other characters.
    """

    name: str
    function: Callable[..., float]
    needs: Needs
    larger_is_better: bool = True
    takes_top: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.name):
            raise ValueError(
                f"a metric's name has letters, digits and underscores only, unlike {self.name!r}"
            )

    @property
    def sign(self) -> Literal[1, -1]:
        """What a score is multiplied with to be maximised."""
        return 1 if self.larger_is_better else -1

    def better(self, score: float, than: float) -> bool:
        """Whether `score` beats `than`.

        NaN beats nothing, and every number beats NaN, so that a search may start from NaN. Equal scores do
        not beat one another.
        """
        if math.isnan(score):
            return False
        return math.isnan(than) or self.sign * score > self.sign * than
