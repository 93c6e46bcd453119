#include "wbf_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(T)                                                                                               \
  template void nms_labels<T>(const int64_t*, const T*, const int64_t*, int64_t, int64_t, bool, double, int64_t*,    \
                              cudaStream_t);                                                                         \
  template void nms_keys<T>(const T*, int64_t, bool, T*, cudaStream_t);                                              \
  template void wbf_keys<T>(const WbfInputs<T>&, int64_t, double*, cudaStream_t);                                    \
  template void wbf_fuse<T>(const WbfInputs<T>&, const WbfRule&, const int64_t*, const int64_t*, const int64_t*,     \
                            void*, T*, cudaStream_t);                                                                \
  template void wbf_collect<T>(const int64_t*, const Box<T>*, const int64_t*, int64_t, T*, int64_t*, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "binding.cuh"

namespace podium::cuda {
namespace {

using Fused = std::tuple<Tensor, Tensor, Tensor>;

template <class T>
Fused fuse(const Tensor& boxes, const Tensor& scores, const Tensor& labels, const Tensor& models, const Tensor& weights,
           const WbfRule& rule, ScalarType type, cudaStream_t stream) {
  const int64_t n = boxes.size(0);
  const WbfInputs<T> in{read<T>(boxes), read<T>(scores), read<int64_t>(labels), read<int64_t>(models),
                        read<double>(weights), n};
  Tensor keys = new_tensor(boxes, {n}, ScalarType::Double), by_label = torch::stable::empty_like(labels);
  wbf_keys(in, rule.n_models, write<double>(keys), stream);
  const Tensor order = stable_sort(keys, true).second;
  nms_labels(in.labels, in.scores, read<int64_t>(order), n, n, false, 0.0, write<int64_t>(by_label), stream);
  const auto [sorted, ranks] = stable_sort(by_label, false);
  Tensor workspace = bytes(boxes, WbfBuffers<T>(n, rule, nullptr).size), by_seed = new_tensor(boxes, {n}, type);
  wbf_fuse(in, rule, read<int64_t>(order), read<int64_t>(ranks), read<int64_t>(sorted), write<char>(workspace),
           write<T>(by_seed), stream);
  // Equal scores go by seed, which is the order they are in.
  const auto [out_scores, seeds] = stable_sort(by_seed, true);
  const WbfBuffers<T> data(n, rule, write<char>(workspace));
  const int64_t count = fetch(data.cluster_count, stream);
  Tensor out_boxes = new_tensor(boxes, {count, 4}, type), out_labels = new_tensor(boxes, {count}, ScalarType::Long);
  wbf_collect(read<int64_t>(seeds), data.fused, in.labels, count, write<T>(out_boxes), write<int64_t>(out_labels), stream);
  return {out_boxes, first_rows(out_scores, count), out_labels};
}

}  // namespace

Fused weighted_boxes_fusion_op(const Tensor& boxes, const Tensor& scores, const Tensor& labels, const Tensor& models,
                               const Tensor& weights, double iou_threshold, double skip_score, int64_t score_type,
                               bool allows_overflow) {
  require_shape(boxes, {-1, 4}, "boxes");
  const int64_t n = boxes.size(0);
  require_shape(scores, {n}, "scores");
  require_shape(labels, {n}, "labels");
  require_shape(models, {n}, "models");
  require_shape(weights, {-1}, "weights");
  require_device(boxes, {&scores, &labels, &models, &weights});
  const Scope scope(boxes);
  const ScalarType type = compute_type(boxes);
  if (n == 0)
    return {new_tensor(boxes, {0, 4}, type), new_tensor(boxes, {0}, type), new_tensor(boxes, {0}, ScalarType::Long)};
  const WbfRule rule{iou_threshold, skip_score, int(score_type), allows_overflow, weights.size(0)};
  const auto function = type == ScalarType::Double ? &fuse<double> : &fuse<float>;
  return function(dense(boxes, type), dense(scores, type), dense(labels, ScalarType::Long),
                  dense(models, ScalarType::Long), dense(weights, ScalarType::Double), rule, type, scope.stream);
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) { m.impl("weighted_boxes_fusion", TORCH_BOX(&weighted_boxes_fusion_op)); }

}  // namespace podium::cuda

#endif
