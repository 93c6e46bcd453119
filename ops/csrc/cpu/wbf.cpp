#include "../binding.h"
#include "wbf_kernels.h"

namespace podium {
namespace {

// The kernels of one type.
template <class T>
struct Wbf;

template <>
struct Wbf<float> {
  static constexpr ScalarType type = ScalarType::Float;
  static auto plan() { return PODIUM_SELECT(wbf_plan_f32); }
  static auto fuse() { return PODIUM_SELECT(wbf_fuse_f32); }
  static auto rank() { return PODIUM_SELECT(wbf_rank_f32); }
};

template <>
struct Wbf<double> {
  static constexpr ScalarType type = ScalarType::Double;
  static auto plan() { return PODIUM_SELECT(wbf_plan_f64); }
  static auto fuse() { return PODIUM_SELECT(wbf_fuse_f64); }
  static auto rank() { return PODIUM_SELECT(wbf_rank_f64); }
};

using Fused = std::tuple<Tensor, Tensor, Tensor>;

template <class T>
Fused run(const Tensor& given_boxes, const Tensor& given_scores, const Tensor& given_labels, const Tensor& given_models,
          const Tensor& given_weights, const WbfOptions& options) {
  const Tensor boxes = dense(given_boxes, Wbf<T>::type), scores = dense(given_scores, Wbf<T>::type);
  const Tensor labels = dense(given_labels, ScalarType::Long), models = dense(given_models, ScalarType::Long);
  const Tensor weights = dense(given_weights, ScalarType::Double);
  const int64_t n = boxes.size(0), n_models = weights.size(0);
  std::vector<int64_t> order(n), starts(n + 1), seeds(n), counts;
  const int64_t segments =
      Wbf<T>::plan()(read<T>(boxes), read<T>(scores), read<int64_t>(labels), read<int64_t>(models), n,
                     read<double>(weights), n_models, options, order.data(), starts.data());
  std::vector<T> fused(4 * n), fused_scores(n);
  counts.resize(segments);
  torch::stable::parallel_for(0, segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t segment = begin; segment < end; ++segment) {
      const int64_t first = starts[segment];
      counts[segment] = Wbf<T>::fuse()(read<T>(boxes), read<T>(scores), read<int64_t>(models), order.data(), first,
                                       starts[segment + 1], read<double>(weights), n_models, options,
                                       fused.data() + 4 * first, fused_scores.data() + first, seeds.data() + first);
    }
  });
  // Close the gaps between the segments.
  int64_t count = 0;
  for (int64_t segment = 0; segment < segments; ++segment)
    for (int64_t k = starts[segment]; k < starts[segment] + counts[segment]; ++k, ++count) {
      for (int side = 0; side < 4; ++side) fused[4 * count + side] = fused[4 * k + side];
      fused_scores[count] = fused_scores[k], seeds[count] = seeds[k];
    }
  Wbf<T>::rank()(fused_scores.data(), seeds.data(), count, order.data());
  Tensor out_boxes = new_tensor(boxes, {count, 4}, Wbf<T>::type), out_scores = new_tensor(boxes, {count}, Wbf<T>::type);
  Tensor out_labels = new_tensor(boxes, {count}, ScalarType::Long);
  T *to_boxes = write<T>(out_boxes), *to_scores = write<T>(out_scores);
  int64_t* to_labels = write<int64_t>(out_labels);
  for (int64_t k = 0; k < count; ++k) {
    for (int side = 0; side < 4; ++side) to_boxes[4 * k + side] = fused[4 * order[k] + side];
    to_scores[k] = fused_scores[order[k]], to_labels[k] = read<int64_t>(labels)[seeds[order[k]]];
  }
  return {out_boxes, out_scores, out_labels};
}

Fused weighted_boxes_fusion(const Tensor& boxes, const Tensor& scores, const Tensor& labels, const Tensor& models,
                            const Tensor& weights, double iou_threshold, double skip_score, int64_t score_type,
                            bool allows_overflow) {
  const WbfOptions options{iou_threshold, skip_score, ScoreType(score_type), allows_overflow};
  return compute_type(boxes) == ScalarType::Double ? run<double>(boxes, scores, labels, models, weights, options)
                                                   : run<float>(boxes, scores, labels, models, weights, options);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) { m.impl("weighted_boxes_fusion", TORCH_BOX(&weighted_boxes_fusion)); }

}  // namespace podium
