"""From a row of a frame to an array: photographs, and what competitions bring instead of them."""
