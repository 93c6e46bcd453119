#include "soft_nms_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(T)                                                                                              \
  template void nms_keys<T>(const T*, int64_t, bool, T*, cudaStream_t);                                             \
  template void nms_labels<T>(const int64_t*, const T*, const int64_t*, int64_t, int64_t, bool, double, int64_t*,   \
                              cudaStream_t);                                                                        \
  template void soft_nms<T>(const T*, const T*, int64_t, const SoftNmsRule&, T*, int64_t*, T*, int64_t*,            \
                            cudaStream_t);                                                                          \
  template void matrix_nms<T>(const T*, const T*, const int64_t*, const int64_t*, const int64_t*, int64_t, bool,    \
                              double, const MatrixNmsBuffers<T>&, T*, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "binding.cuh"

namespace podium::cuda {

std::tuple<Tensor, Tensor> soft_nms_op(const Tensor& boxes, const Tensor& scores, int64_t method, double iou_threshold,
                                       double sigma, double min_score) {
  require_shape(boxes, {-1, 4}, "boxes");
  const int64_t n = boxes.size(0);
  require_shape(scores, {n}, "scores");
  require_device(boxes, {&scores});
  const Scope scope(boxes);
  const ScalarType type = common_type(boxes, scores);
  const Tensor rows = dense(boxes, type), values = dense(scores, type);
  Tensor selected = new_tensor(boxes, {n}, ScalarType::Long), decayed = new_tensor(boxes, {n}, type);
  if (n == 0) return {selected, decayed};
  Tensor left = new_tensor(boxes, {n}, type), count = new_tensor(boxes, {1}, ScalarType::Long);
  const SoftNmsRule rule{method == 1, iou_threshold, sigma, min_score};
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    soft_nms(read<T>(rows), read<T>(values), n, rule, write<T>(left), write<int64_t>(selected), write<T>(decayed),
             write<int64_t>(count), scope.stream);
  };
  type == ScalarType::Double ? go(double(0)) : go(float(0));
  const int64_t found = fetch(read<int64_t>(count), scope.stream);
  return {first_rows(selected, found), first_rows(decayed, found)};
}

Tensor matrix_nms_op(const Tensor& boxes, const Tensor& scores, const Tensor& labels, int64_t kernel, double sigma) {
  require_shape(boxes, {-1, 4}, "boxes");
  const int64_t n = boxes.size(0);
  require_shape(scores, {n}, "scores");
  require_shape(labels, {n}, "labels");
  require_device(boxes, {&scores, &labels});
  const Scope scope(boxes);
  const ScalarType type = common_type(boxes, scores);
  const Tensor rows = dense(boxes, type), values = dense(scores, type), ids = dense(labels, ScalarType::Long);
  Tensor decayed = new_tensor(boxes, {n}, type);
  if (n == 0) return decayed;
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    Tensor keys = torch::stable::empty_like(values), ordered = torch::stable::empty_like(ids);
    nms_keys(read<T>(values), n, false, write<T>(keys), scope.stream);
    const Tensor order = stable_sort(keys, true).second;
    nms_labels(read<int64_t>(ids), read<T>(values), read<int64_t>(order), n, n, false, 0.0, write<int64_t>(ordered),
               scope.stream);
    const auto [sorted, ranks] = stable_sort(ordered, false);
    Tensor sides = new_tensor(boxes, {n, 4}, type), most = new_tensor(boxes, {n}, type);
    Tensor first = new_tensor(boxes, {n}, ScalarType::Int);
    const MatrixNmsBuffers<T> data{write<Box<T>>(sides), write<T>(most), write<int>(first)};
    matrix_nms(read<T>(rows), read<T>(values), read<int64_t>(order), read<int64_t>(ranks), read<int64_t>(sorted), n,
               kernel == 1, sigma, data, write<T>(decayed), scope.stream);
  };
  type == ScalarType::Double ? go(double(0)) : go(float(0));
  return decayed;
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("soft_nms", TORCH_BOX(&soft_nms_op));
  m.impl("matrix_nms", TORCH_BOX(&matrix_nms_op));
}

}  // namespace podium::cuda

#endif
