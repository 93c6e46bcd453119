#pragma once

#include <cstdint>

#include "isa.h"

namespace podium {

enum class IouKind : int64_t { iou = 0, giou = 1, diou = 2, ciou = 3 };

// pairwise_iou: rows [begin, end) of the (n1, n2) matrix between boxes1 (n1, 4) and boxes2 (n2, 4), both xyxy.
// boxes_valid: whether no box is inverted or, where `sizes` are given instead of second corners, has a negative size;
// and, if `finite`, there is no NaN or infinity either.
#define PODIUM_API                                                                                       \
  void pairwise_iou_f32(const float* boxes1, const float* boxes2, int64_t n2, IouKind kind, float* out,  \
                        int64_t begin, int64_t end);                                                     \
  void pairwise_iou_f64(const double* boxes1, const double* boxes2, int64_t n2, IouKind kind, double* out, \
                        int64_t begin, int64_t end);                                                     \
  bool boxes_valid_f32(const float* boxes, int64_t count, bool finite, bool sizes);                      \
  bool boxes_valid_f64(const double* boxes, int64_t count, bool finite, bool sizes);                     \
  void box_area_f32(const float* boxes, int64_t count, float* out);                                      \
  void box_area_f64(const double* boxes, int64_t count, double* out);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
