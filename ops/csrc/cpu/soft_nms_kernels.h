#pragma once

#include <cstdint>

#include "isa.h"

namespace podium {

enum class Decay : int64_t { linear = 0, gaussian = 1 };

struct SoftNmsRule {
  Decay decay;
  double threshold;  // of the linear decay
  double sigma;
  double min_score;
};

// Soft-NMS (arXiv 1704.04503) of boxes (count, 4). Writes the rows that are selected, in this order, and their decayed
// scores; returns their number. Matrix NMS (arXiv 2003.10152) of boxes of one label, best first: the k-th is row
// items[k] of boxes (x, 4); decayed[row] becomes the product of scores[row] and its decay.
#define PODIUM_API                                                                                          \
  int64_t soft_nms_f32(const float* boxes, const float* scores, int64_t count, const SoftNmsRule& rule,     \
                       int64_t* selected, float* decayed);                                                  \
  int64_t soft_nms_f64(const double* boxes, const double* scores, int64_t count, const SoftNmsRule& rule,   \
                       int64_t* selected, double* decayed);                                                 \
  void matrix_nms_f32(const float* boxes, const float* scores, const uint32_t* items, int64_t count,        \
                      Decay decay, double sigma, float* decayed);                                           \
  void matrix_nms_f64(const double* boxes, const double* scores, const uint32_t* items, int64_t count,      \
                      Decay decay, double sigma, double* decayed);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
