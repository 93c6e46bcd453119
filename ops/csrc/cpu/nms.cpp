#include <algorithm>
#include <limits>
#include <memory>
#include <type_traits>

#include "../binding.h"
#include "nms_kernels.h"
#include "nms_sort.h"
#include "nms_threads.h"

namespace podium {
namespace {

constexpr int64_t all = std::numeric_limits<int64_t>::max();

template <class T>
int64_t greedy(const T* boxes, const uint32_t* items, int64_t count, const NmsRule& rule, int64_t max_out,
               uint32_t* kept) {
  if constexpr (std::is_same_v<T, double>)
    return PODIUM_SELECT(nms_greedy_f64)(boxes, items, count, rule, max_out, kept);
  else
    return PODIUM_SELECT(nms_greedy_f32)(boxes, items, count, rule, max_out, kept);
}

// NMS within each label of the first `count` boxes of a ranking; keep[rank] becomes whether the box is kept.
template <class T>
void keep_by_label(const T* boxes, const int64_t* labels, const uint32_t* ranking, int64_t count, const NmsRule& rule,
                   int64_t max_out, uint8_t* keep) {
  const Runs runs(labels, ranking, count);
  const Positions kept = room_for(count);
  std::fill(keep, keep + count, uint8_t(0));
  each_run(runs, [&](int64_t start, int64_t length) {
    uint32_t* found = kept.get() + start;
    const int64_t number = greedy(boxes, runs.rows.get() + start, length, rule, max_out, found);
    for (int64_t k = 0; k < number; ++k) keep[runs.ranks[start + found[k]]] = 1;
  });
}

// NMS of one image: writes the kept rows, best first, to `out` (room for min(count, max_out)); returns their number.
template <class T, class Out>
int64_t nms_image(const T* boxes, const int64_t* labels, const Ranking<T>& ranking, const NmsRule& rule,
                  int64_t max_out, Out* out) {
  const int64_t count = ranking.count;
  if (labels == nullptr) {
    const Positions kept = room_for(count);
    const int64_t found = greedy(boxes, ranking.rows.get(), count, rule, max_out, kept.get());
    for (int64_t k = 0; k < found; ++k) out[k] = ranking.rows[kept[k]];
    return found;
  }
  const auto keep = std::make_unique_for_overwrite<uint8_t[]>(count);
  // What happens to a box depends on better boxes only, so where few are wanted the first of the ranking may do.
  int64_t looked = max_out < count / 4 ? std::min(count, std::max<int64_t>(4 * max_out, 1024)) : count;
  for (;; looked = std::min(count, looked * 4)) {
    keep_by_label(boxes, labels, ranking.rows.get(), looked, rule, max_out, keep.get());
    int64_t found = 0;
    for (int64_t rank = 0; rank < looked && found < max_out; ++rank)
      if (keep[rank]) out[found++] = ranking.rows[rank];
    if (found == max_out || looked == count) return found;
  }
}

void check_boxes(const Tensor& boxes, const Tensor& scores, int64_t kind) {
  STD_TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "boxes must have shape (N, 4)");
  STD_TORCH_CHECK(scores.dim() == 1 && scores.size(0) == boxes.size(0), "scores must have shape (N,)");
  STD_TORCH_CHECK(boxes.size(0) < std::numeric_limits<uint32_t>::max(), "too many boxes");
  STD_TORCH_CHECK(kind >= 0 && kind <= 2, "kind must be 0, 1 or 2");
}

template <class T>
Tensor nms_typed(const Tensor& boxes, const Tensor& scores, const Tensor* labels, const NmsRule& rule,
                 int64_t max_out) {
  const int64_t count = boxes.size(0);
  if (count == 0) return new_tensor(boxes, {0}, ScalarType::Long);
  const Ranking<T> ranking(read<T>(scores), count, [](int64_t) { return true; });
  const auto kept = std::make_unique_for_overwrite<int64_t[]>(std::min(count, max_out));
  const int64_t* ids = labels ? read<int64_t>(*labels) : nullptr;
  const int64_t found = nms_image(read<T>(boxes), ids, ranking, rule, max_out, kept.get());
  Tensor out = new_tensor(boxes, {found}, ScalarType::Long);
  std::copy_n(kept.get(), found, write<int64_t>(out));
  return out;
}

Tensor nms_any(const Tensor& boxes, const Tensor& scores, const Tensor* labels, const NmsRule& rule,
               int64_t max_out) {
  const ScalarType type = common_type(boxes, scores);
  const Tensor dense_boxes = dense(boxes, type), dense_scores = dense(scores, type);
  const auto run = type == ScalarType::Double ? nms_typed<double> : nms_typed<float>;
  return run(dense_boxes, dense_scores, labels, rule, max_out < 0 ? all : max_out);
}

}  // namespace

Tensor nms(const Tensor& boxes, const Tensor& scores, double iou_threshold, int64_t kind, int64_t max_out) {
  check_boxes(boxes, scores, kind);
  return nms_any(boxes, scores, nullptr, {IouKind(kind), iou_threshold}, max_out);
}

Tensor batched_nms(const Tensor& boxes, const Tensor& scores, const Tensor& idxs, double iou_threshold, int64_t kind,
                   int64_t max_out) {
  check_boxes(boxes, scores, kind);
  STD_TORCH_CHECK(idxs.dim() == 1 && idxs.size(0) == boxes.size(0), "idxs must have shape (N,)");
  const Tensor labels = dense(idxs, ScalarType::Long);
  return nms_any(boxes, scores, &labels, {IouKind(kind), iou_threshold}, max_out);
}

template <class T>
void nms_padded_typed(const Tensor& boxes, const Tensor& scores, const Tensor& labels, const NmsRule& rule,
                      double min_score, int64_t max_out, Tensor& indices, Tensor& counts) {
  const int64_t images = boxes.size(0), size = boxes.size(1);
  const T *box = read<T>(boxes), *score = read<T>(scores);
  const int64_t* label = read<int64_t>(labels);
  int64_t *index = write<int64_t>(indices), *number = write<int64_t>(counts);
  const bool any_score = min_score != min_score;  // NaN: no score is too low, not even -infinity
  torch::stable::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      const T* own_scores = score + image * size;
      const int64_t* own_labels = label + image * size;
      const Ranking<T> ranking(own_scores, size, [&](int64_t k) {
        return own_labels[k] >= 0 && (any_score || double(own_scores[k]) > min_score);
      });
      int64_t* out = index + image * max_out;
      number[image] = nms_image(box + image * size * 4, own_labels, ranking, rule, max_out, out);
      std::fill(out + number[image], out + max_out, int64_t(-1));
    }
  });
}

std::tuple<Tensor, Tensor> nms_padded(const Tensor& boxes, const Tensor& scores, const Tensor& labels,
                                      double iou_threshold, double min_score, int64_t kind, int64_t max_out) {
  STD_TORCH_CHECK(boxes.dim() == 3 && boxes.size(2) == 4, "boxes must have shape (B, N, 4)");
  for (const Tensor* other : {&scores, &labels})
    STD_TORCH_CHECK(other->dim() == 2 && other->size(0) == boxes.size(0) && other->size(1) == boxes.size(1),
                    "scores and labels must have shape (B, N)");
  STD_TORCH_CHECK(boxes.size(1) < std::numeric_limits<uint32_t>::max(), "too many boxes");
  STD_TORCH_CHECK(kind >= 0 && kind <= 2, "kind must be 0, 1 or 2");
  STD_TORCH_CHECK(max_out >= 0, "max_out must not be negative");
  const ScalarType type = common_type(boxes, scores);
  const Tensor dense_boxes = dense(boxes, type), dense_scores = dense(scores, type);
  const Tensor dense_labels = dense(labels, ScalarType::Long);
  Tensor indices = new_tensor(dense_boxes, {boxes.size(0), max_out}, ScalarType::Long);
  Tensor counts = new_tensor(dense_boxes, {boxes.size(0)}, ScalarType::Long);
  const auto run = type == ScalarType::Double ? nms_padded_typed<double> : nms_padded_typed<float>;
  run(dense_boxes, dense_scores, dense_labels, {IouKind(kind), iou_threshold}, min_score, max_out, indices, counts);
  return {indices, counts};
}

bool nms_valid(const Tensor& boxes, const Tensor& scores) {
  check_boxes(boxes, scores, 0);
  const ScalarType type = common_type(boxes, scores);
  const Tensor dense_boxes = dense(boxes, type), dense_scores = dense(scores, type);
  const int64_t count = boxes.size(0);
  if (type == ScalarType::Double)
    return PODIUM_SELECT(nms_valid_f64)(read<double>(dense_boxes), read<double>(dense_scores), count);
  return PODIUM_SELECT(nms_valid_f32)(read<float>(dense_boxes), read<float>(dense_scores), count);
}

// nms with its arguments checked, all in one call.
Tensor direct(const Tensor& boxes, const Tensor& scores, const Tensor* idxs, double iou_threshold, int64_t kind,
              int64_t max_out) {
  require(boxes.is_cpu() && scores.is_cpu() && is_float(boxes) && is_float(scores));
  require(boxes.dim() == 2 && boxes.size(1) == 4 && scores.dim() == 1 && scores.size(0) == boxes.size(0));
  require(kind >= 0 && kind <= 2 && iou_threshold >= (kind == 0 ? 0 : -1) && max_out >= -1);
  require(!idxs || (idxs->is_cpu() && is_integer(*idxs) && idxs->dim() == 1 && idxs->size(0) == boxes.size(0)));
  const int64_t count = boxes.size(0);
  if (count == 0) return new_tensor(boxes, {0}, ScalarType::Long);
  require(count < std::numeric_limits<uint32_t>::max());
  const ScalarType type = common_type(boxes, scores);
  const Tensor dense_boxes = dense(boxes, type), dense_scores = dense(scores, type);
  if (type == ScalarType::Double)
    require(PODIUM_SELECT(nms_valid_f64)(read<double>(dense_boxes), read<double>(dense_scores), count));
  else
    require(PODIUM_SELECT(nms_valid_f32)(read<float>(dense_boxes), read<float>(dense_scores), count));
  if (!idxs) return nms_any(dense_boxes, dense_scores, nullptr, {IouKind(kind), iou_threshold}, max_out);
  const Tensor labels = dense(*idxs, ScalarType::Long);
  return nms_any(dense_boxes, dense_scores, &labels, {IouKind(kind), iou_threshold}, max_out);
}

Tensor direct_nms(const Tensor& boxes, const Tensor& scores, double iou_threshold, int64_t kind, int64_t max_out) {
  return direct(boxes, scores, nullptr, iou_threshold, kind, max_out);
}

Tensor direct_batched_nms(const Tensor& boxes, const Tensor& scores, const Tensor& idxs, double iou_threshold,
                          int64_t kind, int64_t max_out) {
  return direct(boxes, scores, &idxs, iou_threshold, kind, max_out);
}

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("direct_nms", TORCH_BOX(&direct_nms));
  m.impl("direct_batched_nms", TORCH_BOX(&direct_batched_nms));
  m.impl("nms_valid", TORCH_BOX(&nms_valid));
  m.impl("nms", TORCH_BOX(&nms));
  m.impl("batched_nms", TORCH_BOX(&batched_nms));
  m.impl("nms_padded", TORCH_BOX(&nms_padded));
}

}  // namespace podium
