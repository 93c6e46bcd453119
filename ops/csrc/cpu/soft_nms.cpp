#include <algorithm>
#include <limits>
#include <memory>
#include <type_traits>

#include "../binding.h"
#include "nms_threads.h"
#include "soft_nms_kernels.h"

namespace podium {
namespace {

void check(const Tensor& boxes, const Tensor& scores, int64_t choice) {
  STD_TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "boxes must have shape (N, 4)");
  STD_TORCH_CHECK(scores.dim() == 1 && scores.size(0) == boxes.size(0), "scores must have shape (N,)");
  STD_TORCH_CHECK(boxes.size(0) < std::numeric_limits<uint32_t>::max(), "too many boxes");
  STD_TORCH_CHECK(choice == 0 || choice == 1, "the decay must be 0 or 1");
}

template <class T>
std::tuple<Tensor, Tensor> soft_nms_typed(const Tensor& boxes, const Tensor& scores, const SoftNmsRule& rule,
                                          ScalarType type) {
  const int64_t count = boxes.size(0);
  const auto rows = std::make_unique_for_overwrite<int64_t[]>(count);
  const auto values = std::make_unique_for_overwrite<T[]>(count);
  int64_t found = 0;
  if constexpr (std::is_same_v<T, double>)
    found = PODIUM_SELECT(soft_nms_f64)(read<T>(boxes), read<T>(scores), count, rule, rows.get(), values.get());
  else
    found = PODIUM_SELECT(soft_nms_f32)(read<T>(boxes), read<T>(scores), count, rule, rows.get(), values.get());
  Tensor selected = new_tensor(boxes, {found}, ScalarType::Long), decayed = new_tensor(boxes, {found}, type);
  std::copy_n(rows.get(), found, write<int64_t>(selected));
  std::copy_n(values.get(), found, write<T>(decayed));
  return {selected, decayed};
}

template <class T>
void matrix_nms_typed(const Tensor& boxes, const Tensor& scores, const Tensor& labels, Decay decay, double sigma,
                      Tensor& decayed) {
  const int64_t count = boxes.size(0);
  const T *box = read<T>(boxes), *score = read<T>(scores);
  T* out = write<T>(decayed);
  const Ranking<T> ranking(score, count, [](int64_t) { return true; });
  const Runs runs(read<int64_t>(labels), ranking.rows.get(), count);
  each_run(runs, [&](int64_t start, int64_t length) {
    const uint32_t* items = runs.rows.get() + start;
    if constexpr (std::is_same_v<T, double>)
      PODIUM_SELECT(matrix_nms_f64)(box, score, items, length, decay, sigma, out);
    else
      PODIUM_SELECT(matrix_nms_f32)(box, score, items, length, decay, sigma, out);
  });
}

}  // namespace

std::tuple<Tensor, Tensor> soft_nms(const Tensor& boxes, const Tensor& scores, int64_t method, double iou_threshold,
                                    double sigma, double min_score) {
  check(boxes, scores, method);
  const ScalarType type = common_type(boxes, scores);
  const auto run = type == ScalarType::Double ? soft_nms_typed<double> : soft_nms_typed<float>;
  return run(dense(boxes, type), dense(scores, type), {Decay(method), iou_threshold, sigma, min_score}, type);
}

Tensor matrix_nms(const Tensor& boxes, const Tensor& scores, const Tensor& labels, int64_t kernel, double sigma) {
  check(boxes, scores, kernel);
  STD_TORCH_CHECK(labels.dim() == 1 && labels.size(0) == boxes.size(0), "labels must have shape (N,)");
  const ScalarType type = common_type(boxes, scores);
  const Tensor dense_boxes = dense(boxes, type), dense_scores = dense(scores, type);
  Tensor decayed = new_tensor(dense_boxes, {boxes.size(0)}, type);
  const auto run = type == ScalarType::Double ? matrix_nms_typed<double> : matrix_nms_typed<float>;
  run(dense_boxes, dense_scores, dense(labels, ScalarType::Long), Decay(kernel), sigma, decayed);
  return decayed;
}

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("soft_nms", TORCH_BOX(&soft_nms));
  m.impl("matrix_nms", TORCH_BOX(&matrix_nms));
}

}  // namespace podium
