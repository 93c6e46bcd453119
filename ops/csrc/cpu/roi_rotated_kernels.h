#pragma once

#include <cstdint>

#include "isa.h"
#include "roi_types.h"

namespace podium {

// A turned RoI on its image: its centre and size in pixels, the sine and cosine of its angle, and the number of samples
// of each bin. Bins are (pooled_height, pooled_width).
template <class T>
struct TurnedRoi {
  T x, y, width, height, sine, cosine;
  int64_t down, across;
};

struct TurnedShape {
  int64_t height, width;  // of the image
  int64_t pooled_height, pooled_width;
  int64_t bins() const { return pooled_height * pooled_width; }
};

// pool: writes the bins of all channels of `image` to `out`, planes of consecutive bins.
// spread: the transposed operation, adding to `image`. `room` has space for 9 * bins numbers.
#define PODIUM_TURNED(T, suffix)                                                                                     \
  void turned_pool_##suffix(const TurnedShape& shape, const TurnedRoi<T>& roi, const Planes<const T>& image, T* out, \
                            T* room);                                                                                \
  void turned_spread_##suffix(const TurnedShape& shape, const TurnedRoi<T>& roi, const T* grad,                      \
                              const Planes<T>& image, T* room);
PODIUM_EACH_ISA(PODIUM_TURNED(float, f32) PODIUM_TURNED(double, f64))
#undef PODIUM_TURNED

}  // namespace podium
