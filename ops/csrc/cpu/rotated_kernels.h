#pragma once

#include <cstdint>

#include "isa.h"

namespace podium {

// What the kernels need of a box, one row of n numbers each: centre, half sizes, cosine and sine of the angle, area,
// and the radius of the circle around it.
constexpr int64_t kRotatedColumns = 8;

// prepare: boxes (n, 5) as cx, cy, w, h, degrees -> columns (8, n).
// iou: rows [begin, end) of the (n1, n2) matrix, from the columns of both sides.
// nms: indices of the kept boxes into keep (room for n), by descending score; returns how many. Columns of the boxes.
#define PODIUM_API                                                                                                 \
  void rotated_prepare_f32(const float* boxes, int64_t n, float* columns);                                         \
  void rotated_prepare_f64(const double* boxes, int64_t n, double* columns);                                       \
  void rotated_iou_f32(const float* columns1, int64_t n1, const float* columns2, int64_t n2, float* out,           \
                       int64_t begin, int64_t end);                                                                \
  void rotated_iou_f64(const double* columns1, int64_t n1, const double* columns2, int64_t n2, double* out,        \
                       int64_t begin, int64_t end);                                                                \
  int64_t rotated_nms_f32(const float* columns, const float* scores, int64_t n, double threshold, int64_t* keep);  \
  int64_t rotated_nms_f64(const double* columns, const double* scores, int64_t n, double threshold, int64_t* keep);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
