#pragma once

#include <cstdint>

#include "boxes_kernels.h"
#include "isa.h"

namespace podium {

// When a box suppresses a later one: IoU (or its variant) > threshold.
struct NmsRule {
  IouKind kind;
  double threshold;
};

// Greedy NMS of `count` boxes of `boxes` (x, 4), best first: the k-th is row items[k]. Writes the positions k that are
// kept, ascending and at most max_out, to `kept` and returns their number.
#define PODIUM_API                                                                                        \
  int64_t nms_greedy_f32(const float* boxes, const uint32_t* items, int64_t count, const NmsRule& rule,   \
                         int64_t max_out, uint32_t* kept);                                                \
  int64_t nms_greedy_f64(const double* boxes, const uint32_t* items, int64_t count, const NmsRule& rule,  \
                         int64_t max_out, uint32_t* kept);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

// Whether everything is finite and every box has x1 <= x2 and y1 <= y2.
#define PODIUM_API                                                                  \
  bool nms_valid_f32(const float* boxes, const float* scores, int64_t count);       \
  bool nms_valid_f64(const double* boxes, const double* scores, int64_t count);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
