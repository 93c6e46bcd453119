#include "nms_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(T)                                                                                            \
  template void nms_keys<T>(const T*, int64_t, bool, T*, cudaStream_t);                                              \
  template void nms_labels<T>(const int64_t*, const T*, const int64_t*, int64_t, int64_t, bool, double, int64_t*, \
                              cudaStream_t);                                                                      \
  template void nms_valid<T>(const T*, const T*, int64_t, int64_t*, cudaStream_t);                                \
  template void nms<Overlaps<T>, T>(const T*, const int64_t*, const int64_t*, const int64_t*, const NmsShape&,    \
                                    const Overlaps<T>&, void*, int64_t*, int64_t*, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "binding.cuh"

namespace podium::cuda {
namespace {

struct Settings {
  double iou_threshold;
  int64_t kind;
  int64_t max_out;  // not negative
  bool filter = false;  // whether negative labels, and scores up to min_score, are left out
  double min_score = 0;
};

// boxes (images, n, 4), scores and labels (images, n) -> indices (images, max_out) and counts (images). No
// synchronisation. Leading dimensions of size 1 may be left out.
template <class T>
std::tuple<Tensor, Tensor> run(const Tensor& boxes, const Tensor& scores, const Tensor* labels, int64_t images,
                               int64_t n, const Settings& settings, cudaStream_t stream) {
  Tensor out = new_tensor(boxes, {images, settings.max_out}, ScalarType::Long);
  Tensor counts = new_tensor(boxes, {images}, ScalarType::Long);
  if (images == 0 || n == 0 || settings.max_out == 0) {
    torch::stable::fill_(out, -1);
    torch::stable::zero_(counts);
    return {out, counts};
  }
  const NmsShape shape(images, n, settings.max_out, settings.filter);
  Tensor keys = torch::stable::empty_like(scores);
  nms_keys(read<T>(scores), shape.total(), false, write<T>(keys), stream);
  const Tensor order = stable_sort(keys, true).second;
  const int64_t *ranks = nullptr, *sorted = nullptr;
  std::pair<Tensor, Tensor> by_label;  // (labels, places in `order`): boxes of one label, still by score
  if (labels) {
    Tensor ordered = torch::stable::empty_like(*labels);
    nms_labels(read<int64_t>(*labels), read<T>(scores), read<int64_t>(order), n, shape.total(), settings.filter,
               settings.min_score, write<int64_t>(ordered), stream);
    by_label = stable_sort(ordered, false);
    sorted = read<int64_t>(by_label.first), ranks = read<int64_t>(by_label.second);
  }
  const Overlaps<T> test(settings.iou_threshold, settings.kind);
  Tensor workspace = bytes(boxes, NmsBuffers<Box<T>>(shape, nullptr).size);
  nms(read<T>(boxes), read<int64_t>(order), ranks, sorted, shape, test, write<char>(workspace), write<int64_t>(out),
      write<int64_t>(counts), stream);
  return {out, counts};
}

std::tuple<Tensor, Tensor> run(const Tensor& boxes, const Tensor& scores, const Tensor* labels, int64_t images,
                               int64_t n, const Settings& settings, cudaStream_t stream) {
  const ScalarType type = common_type(boxes, scores);
  const Tensor typed_boxes = dense(boxes, type), typed_scores = dense(scores, type);
  std::optional<Tensor> typed_labels;
  if (labels) typed_labels = dense(*labels, ScalarType::Long);
  const auto function = type == ScalarType::Double ? &run<double> : &run<float>;
  return function(typed_boxes, typed_scores, labels ? &*typed_labels : nullptr, images, n, settings, stream);
}

// As many indices as there are: the one place that waits for the device.
Tensor trimmed(const std::tuple<Tensor, Tensor>& padded, cudaStream_t stream) {
  Tensor flat = torch::stable::reshape(std::get<0>(padded), {std::vector<int64_t>{-1}});
  if (flat.numel() == 0) return flat;
  return first_rows(flat, fetch(read<int64_t>(std::get<1>(padded)), stream));
}

int64_t room(int64_t max_out, int64_t n) { return max_out < 0 ? n : std::min(max_out, n); }

}  // namespace

Tensor nms_op(const Tensor& boxes, const Tensor& scores, double iou_threshold, int64_t kind, int64_t max_out) {
  require_shape(boxes, {-1, 4}, "boxes");
  const int64_t n = boxes.size(0);
  require_shape(scores, {n}, "scores");
  require_device(boxes, {&scores});
  const Scope scope(boxes);
  return trimmed(run(boxes, scores, nullptr, 1, n, {iou_threshold, kind, room(max_out, n)}, scope.stream),
                 scope.stream);
}

Tensor batched_nms_op(const Tensor& boxes, const Tensor& scores, const Tensor& idxs, double iou_threshold, int64_t kind,
                      int64_t max_out) {
  require_shape(boxes, {-1, 4}, "boxes");
  const int64_t n = boxes.size(0);
  require_shape(scores, {n}, "scores");
  require_shape(idxs, {n}, "idxs");
  require_device(boxes, {&scores, &idxs});
  const Scope scope(boxes);
  return trimmed(run(boxes, scores, &idxs, 1, n, {iou_threshold, kind, room(max_out, n)}, scope.stream), scope.stream);
}

std::tuple<Tensor, Tensor> nms_padded_op(const Tensor& boxes, const Tensor& scores, const Tensor& labels,
                                         double iou_threshold, double min_score, int64_t kind, int64_t max_out) {
  require_shape(boxes, {-1, -1, 4}, "boxes");
  const int64_t images = boxes.size(0), n = boxes.size(1);
  require_shape(scores, {images, n}, "scores");
  require_shape(labels, {images, n}, "labels");
  require_device(boxes, {&scores, &labels});
  require(max_out >= 0, "podium: max_out must not be negative");
  const Scope scope(boxes);
  return run(boxes, scores, &labels, images, n, {iou_threshold, kind, max_out, true, min_score}, scope.stream);
}

bool nms_valid_op(const Tensor& boxes, const Tensor& scores) {
  require_shape(boxes, {-1, 4}, "boxes");
  require_shape(scores, {boxes.size(0)}, "scores");
  require_device(boxes, {&scores});
  const Scope scope(boxes);
  const ScalarType type = common_type(boxes, scores);
  const Tensor rows = dense(boxes, type), values = dense(scores, type);
  Tensor bad = new_tensor(boxes, {1}, ScalarType::Long);
  torch::stable::zero_(bad);
  if (type == ScalarType::Double)
    nms_valid(read<double>(rows), read<double>(values), boxes.size(0), write<int64_t>(bad), scope.stream);
  else
    nms_valid(read<float>(rows), read<float>(values), boxes.size(0), write<int64_t>(bad), scope.stream);
  return fetch(read<int64_t>(bad), scope.stream) == 0;
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("nms_valid", TORCH_BOX(&nms_valid_op));
  m.impl("nms", TORCH_BOX(&nms_op));
  m.impl("batched_nms", TORCH_BOX(&batched_nms_op));
  m.impl("nms_padded", TORCH_BOX(&nms_padded_op));
}

}  // namespace podium::cuda

#endif
