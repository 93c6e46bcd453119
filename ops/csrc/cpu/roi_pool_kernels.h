#pragma once

#include "isa.h"
#include "roi_types.h"

namespace podium {

// The bins of one RoI: rows of bin p are [rows[2p], rows[2p + 1]), its columns likewise.
struct RoiBins {
  int64_t bounds;  // where its rows, then its columns, start in the array of all bounds
  Rect window;     // the pixels taken
};

// Max pooling of some RoIs of one image. `rect` holds the windows of all, unless they are packed one by one.
struct RoiMaxWork {
  const RoiBins* rois;
  const int64_t* bounds;
  const int64_t* members;
  int64_t count;
  int64_t pooled_height, pooled_width;
  int64_t width;  // of the image: positions are y * width + x
  Rect rect;
  bool one_by_one;
};

template <class T>
int64_t roi_max_scratch(int64_t pixels, int64_t bins) {
  return (pixels + 3 * bins) * lanes<T>;
}

// Writes maxima and their positions, which are laid out alike; -1 where a bin has no maximum. Positions must fit 32 bits.
#define PODIUM_API                                                                                                     \
  void roi_max_f32(const RoiMaxWork& work, const Planes<const float>& image, const Planes<float>& out,                 \
                   int32_t* positions, int64_t roi_step, float* scratch);                                              \
  void roi_max_f64(const RoiMaxWork& work, const Planes<const double>& image, const Planes<double>& out,               \
                   int32_t* positions, int64_t roi_step, double* scratch);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
