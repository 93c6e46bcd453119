#include "roi_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(A)                                                                                                \
  template void roi_average<A, A, PixelAxis<A>, 1, false>(const RoiList<A>&, const RoiMaps&, const RoiBins&, bool,    \
                                                          cudaStream_t);                                              \
  template void roi_average<A, A, PixelAxis<A>, 1, true>(const RoiList<A>&, const RoiMaps&, const RoiBins&, bool,     \
                                                         cudaStream_t);                                               \
  template void roi_gather<A, PixelAxis<A>, 1>(const RoiList<A>&, const RoiMaps&, int, const RoiBins&,                \
                                               RoiReach<PixelAxis<A>>*, cudaStream_t);                                \
  template void roi_max<A>(const RoiList<A>&, const RoiMaps&, const RoiBins&, int32_t*, bool, cudaStream_t);          \
  template void roi_max_spread<A>(const A*, const RoiMap&, const RoiBins&, const RoiBins&, bool, bool, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "roi_binding.cuh"

namespace podium::cuda {
namespace {

// The kernels over PixelAxis, which take one channel at a time.
struct PixelKernels {
  static bool has_pack(ScalarType) { return false; }

  template <class A>
  static int64_t reach_size() {
    return sizeof(RoiReach<PixelAxis<A>>);
  }
  template <class A>
  static void average(const RoiList<A>& list, const RoiMaps& maps, const RoiBins& bins, bool, ScalarType, bool inner,
                      cudaStream_t stream) {
    roi_average<A, A, PixelAxis<A>, 1, false>(list, maps, bins, inner, stream);
  }
  template <class A>
  static void scatter(const RoiList<A>& list, const RoiMaps& maps, const RoiBins& bins, bool, bool inner,
                      cudaStream_t stream) {
    roi_average<A, A, PixelAxis<A>, 1, true>(list, maps, bins, inner, stream);
  }
  template <class A>
  static void gather(const RoiList<A>& list, const RoiMaps& maps, int channels, const RoiBins& bins, bool,
                     void* reaches, cudaStream_t stream) {
    using Axis = PixelAxis<A>;
    roi_gather<A, Axis, 1>(list, maps, channels, bins, static_cast<RoiReach<Axis>*>(reaches), stream);
  }
};

constexpr RoiRule max_rule{0, 0, false, true, false};
constexpr RoiRule positional_rule{0, 0, false, false, true};

}  // namespace

std::tuple<Tensor, Tensor> roi_pool_op(const Tensor& input, const Tensor& rois, double spatial_scale,
                                       int64_t pooled_height, int64_t pooled_width) {
  require_shape(input, {-1, -1, -1, -1}, "input");
  require(input.size(2) * input.size(3) <= INT32_MAX, "podium: input must have fewer than 2**31 pixels");
  require_rois(rois, nullptr, 1, 1, pooled_height, pooled_width);
  require_device(input, {&rois});
  const Scope scope(input);
  const bool last = channels_last(input);
  const ScalarType computed = compute_type(input);
  const int64_t k = rois.size(0), channels = input.size(1);
  Tensor out = new_planes(input, k, channels, pooled_height, pooled_width, computed, last);
  Tensor argmax = new_planes(input, k, channels, pooled_height, pooled_width, ScalarType::Int, last);
  if (out.numel() == 0) return {typed(out, input.scalar_type()), argmax};
  const std::vector<Tensor> images{typed(input, computed)};
  const auto go = [&](auto zero) {
    using A = decltype(zero);
    const DenseRois<A> dense_rois(rois, nullptr, max_rule);
    for_levels(images, {spatial_scale}, [&](const RoiMaps& maps) {
      roi_max<A>(dense_rois.list, maps, bins_of(out), write<int32_t>(argmax), last, scope.stream);
    });
  };
  computed == ScalarType::Double ? go(double(0)) : go(float(0));
  return {typed(out, input.scalar_type()), argmax};
}

Tensor roi_pool_backward_op(const Tensor& grad, const Tensor& argmax, const Tensor& rois, int64_t batch,
                            int64_t channels, int64_t height, int64_t width) {
  require_shape(rois, {-1, 5}, "rois");
  require_shape(grad, {rois.size(0), channels, -1, -1}, "grad");
  require_shape(argmax, {rois.size(0), channels, grad.size(2), grad.size(3)}, "argmax");
  require(argmax.scalar_type() == ScalarType::Int, "podium: argmax must be int32");
  require_device(grad, {&argmax, &rois});
  const Scope scope(grad);
  const bool last = channels_last(grad);
  const ScalarType computed = compute_type(grad);
  Tensor image = new_planes(grad, batch, channels, height, width, computed, last);
  torch::stable::zero_(image);
  if (grad.numel() > 0 && image.numel() > 0) {
    const Tensor bins = typed(grad, computed), corners = dense(rois, computed);
    const auto go = [&](auto zero) {
      using A = decltype(zero);
      roi_max_spread<A>(read<A>(corners), map_of(image, 1), bins_of(bins), bins_of(argmax), last, wants_determinism(),
                        scope.stream);
    };
    computed == ScalarType::Double ? go(double(0)) : go(float(0));
  }
  return typed(image, grad.scalar_type());
}

Tensor ps_roi_pool_op(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                      int64_t pooled_width) {
  return average_images<PixelKernels>({input}, rois, nullptr, {spatial_scale}, pooled_height, pooled_width,
                                      positional_rule);
}

Tensor ps_roi_pool_backward_op(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                               int64_t pooled_width, int64_t batch, int64_t channels, int64_t height, int64_t width) {
  return spread_images<PixelKernels>(grad, {{batch, channels, height, width}}, rois, nullptr, {spatial_scale},
                                     pooled_height, pooled_width, positional_rule)[0];
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("roi_pool", TORCH_BOX(&roi_pool_op));
  m.impl("roi_pool_backward", TORCH_BOX(&roi_pool_backward_op));
  m.impl("ps_roi_pool", TORCH_BOX(&ps_roi_pool_op));
  m.impl("ps_roi_pool_backward", TORCH_BOX(&ps_roi_pool_backward_op));
}

}  // namespace podium::cuda

#endif
