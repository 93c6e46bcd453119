#pragma once

#include <cstdint>

#include "isa.h"

namespace podium {

enum class ScoreType : int64_t { average = 0, maximum = 1, box_and_model_average = 2 };

struct WbfOptions {
  double iou_threshold, skip_score;
  ScoreType score_type;
  bool allows_overflow;
};

// Three steps over n boxes (n, 4) of models with the given weights.
// plan: the boxes that take part into order (room for n), by label and then by descending weighted score, and where
//   each label begins in it, plus the end, into starts (room for n + 1); returns the number of labels.
// fuse: the boxes order[begin, end) of one label into fused (4 numbers each), scores and seeds (the cluster's first
//   box), all with room for end - begin; returns the number of clusters.
// rank: count clusters by descending score, equal scores by their seed, into order.
#define PODIUM_API                                                                                                    \
  int64_t wbf_plan_f32(const float* boxes, const float* scores, const int64_t* labels, const int64_t* models,         \
                       int64_t n, const double* weights, int64_t n_models, const WbfOptions& options, int64_t* order, \
                       int64_t* starts);                                                                              \
  int64_t wbf_plan_f64(const double* boxes, const double* scores, const int64_t* labels, const int64_t* models,       \
                       int64_t n, const double* weights, int64_t n_models, const WbfOptions& options, int64_t* order, \
                       int64_t* starts);                                                                              \
  int64_t wbf_fuse_f32(const float* boxes, const float* scores, const int64_t* models, const int64_t* order,          \
                       int64_t begin, int64_t end, const double* weights, int64_t n_models,                           \
                       const WbfOptions& options, float* fused, float* fused_scores, int64_t* seeds);                 \
  int64_t wbf_fuse_f64(const double* boxes, const double* scores, const int64_t* models, const int64_t* order,        \
                       int64_t begin, int64_t end, const double* weights, int64_t n_models,                           \
                       const WbfOptions& options, double* fused, double* fused_scores, int64_t* seeds);               \
  void wbf_rank_f32(const float* scores, const int64_t* seeds, int64_t count, int64_t* order);                        \
  void wbf_rank_f64(const double* scores, const int64_t* seeds, int64_t count, int64_t* order);
PODIUM_EACH_ISA(PODIUM_API)
#undef PODIUM_API

}  // namespace podium
