#pragma once

#include "isa.h"
#include "roi_types.h"

namespace podium {

// Numbers of scratch memory, aligned to 64 bytes, that either kernel needs.
template <class T>
int64_t roi_scratch(int64_t pixels, int64_t columns, int64_t bins) {
  return (pixels + columns + 1 + 2 * bins) * lanes<T>;
}

// pool: writes `out`, of which `roi_step` leads to the next RoI and whose planes are (row, column) bins.
// spread: the transposed operation. `grad` is laid out as `out` is; adds into `image` if `add` or if
// the work is direct, else overwrites it whole.
#define PODIUM_API                                                                                                    \
  void roi_pool_taps_f32(const RoiWork<float>& work, const Planes<const float>& image, const Planes<float>& out,      \
                         int64_t roi_step, float* scratch);                                                           \
  void roi_pool_taps_f64(const RoiWork<double>& work, const Planes<const double>& image, const Planes<double>& out,   \
                         int64_t roi_step, double* scratch);                                                          \
  void roi_spread_taps_f32(const RoiWork<float>& work, const Planes<const float>& grad, int64_t roi_step,             \
                           const Planes<float>& image, int64_t height, int64_t width, bool add, float* scratch);      \
  void roi_spread_taps_f64(const RoiWork<double>& work, const Planes<const double>& grad, int64_t roi_step,           \
                           const Planes<double>& image, int64_t height, int64_t width, bool add, double* scratch);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
