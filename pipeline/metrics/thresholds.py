"""The intersections over union at which competitions ask whether an object was found."""


def steps_of_five(first: int, last: int) -> tuple[float, ...]:
    """Hundredths from `first` to `last` in steps of five: ``steps_of_five(50, 60)`` is 0.5, 0.55, 0.6.

    Each is the float nearest to its decimals, which repeated addition of 0.05 misses: an object whose
    intersection over union is exactly 0.7 must not pass for one above 0.7.
    """
    return tuple(percent / 100 for percent in range(first, last + 1, 5))


FROM_50_TO_95 = steps_of_five(50, 95)
"""tgs-salt-identification-challenge, airbus-ship-detection, and COCO."""

FROM_50_TO_75 = steps_of_five(50, 75)
"""global-wheat-detection."""

FROM_30_TO_80 = steps_of_five(30, 80)
"""tensorflow-great-barrier-reef."""
