#include "roi_kernels.cuh"

namespace podium::cuda {

#define PODIUM_AVERAGE(T, A, N, scatter)                                                                       \
  template void roi_average<T, A, SampledAxis<A>, N, scatter>(const RoiList<A>&, const RoiMaps&, const RoiBins&, bool, \
                                                              cudaStream_t);
#define PODIUM_GATHER(A, N)                                                                            \
  template void roi_gather<A, SampledAxis<A>, N>(const RoiList<A>&, const RoiMaps&, int, const RoiBins&, \
                                                 RoiReach<SampledAxis<A>>*, cudaStream_t);
PODIUM_AVERAGE(float, float, 1, false)
PODIUM_AVERAGE(float, float, 4, false)
PODIUM_AVERAGE(double, double, 1, false)
#ifdef __CUDACC__
PODIUM_AVERAGE(__half, float, 8, false)
PODIUM_AVERAGE(__nv_bfloat16, float, 8, false)
#endif
PODIUM_AVERAGE(float, float, 1, true)
PODIUM_AVERAGE(float, float, 4, true)
PODIUM_AVERAGE(double, double, 1, true)
PODIUM_GATHER(float, 1)
PODIUM_GATHER(float, 4)
PODIUM_GATHER(double, 1)
#undef PODIUM_AVERAGE
#undef PODIUM_GATHER

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "roi_binding.cuh"

namespace podium::cuda {
namespace {

// The kernels over SampledAxis that exist: 16 bytes at once but for double, half types only so.
struct SampledKernels {
  static bool has_pack(ScalarType type) {
#ifdef __CUDACC__
    if (type == ScalarType::Half || type == ScalarType::BFloat16) return true;
#endif
    return type == ScalarType::Float;
  }

  template <class A>
  static int64_t reach_size() {
    return sizeof(RoiReach<SampledAxis<A>>);
  }

  static void average(const RoiList<float>& list, const RoiMaps& maps, const RoiBins& bins, bool packed,
                      ScalarType type, bool inner, cudaStream_t stream) {
    using Axis = SampledAxis<float>;
    if (!packed) return roi_average<float, float, Axis, 1, false>(list, maps, bins, inner, stream);
    if (type == ScalarType::Float) return roi_average<float, float, Axis, 4, false>(list, maps, bins, inner, stream);
#ifdef __CUDACC__
    if (type == ScalarType::Half) return roi_average<__half, float, Axis, 8, false>(list, maps, bins, inner, stream);
    roi_average<__nv_bfloat16, float, Axis, 8, false>(list, maps, bins, inner, stream);
#endif
  }
  static void average(const RoiList<double>& list, const RoiMaps& maps, const RoiBins& bins, bool, ScalarType,
                      bool inner, cudaStream_t stream) {
    roi_average<double, double, SampledAxis<double>, 1, false>(list, maps, bins, inner, stream);
  }

  static void scatter(const RoiList<float>& list, const RoiMaps& maps, const RoiBins& bins, bool packed, bool inner,
                      cudaStream_t stream) {
    const auto kernel = packed ? &roi_average<float, float, SampledAxis<float>, 4, true>
                               : &roi_average<float, float, SampledAxis<float>, 1, true>;
    kernel(list, maps, bins, inner, stream);
  }
  static void scatter(const RoiList<double>& list, const RoiMaps& maps, const RoiBins& bins, bool, bool inner,
                      cudaStream_t stream) {
    roi_average<double, double, SampledAxis<double>, 1, true>(list, maps, bins, inner, stream);
  }

  static void gather(const RoiList<float>& list, const RoiMaps& maps, int channels, const RoiBins& bins, bool packed,
                     void* reaches, cudaStream_t stream) {
    using Axis = SampledAxis<float>;
    const auto kernel = packed ? &roi_gather<float, Axis, 4> : &roi_gather<float, Axis, 1>;
    kernel(list, maps, channels, bins, static_cast<RoiReach<Axis>*>(reaches), stream);
  }
  static void gather(const RoiList<double>& list, const RoiMaps& maps, int channels, const RoiBins& bins, bool,
                     void* reaches, cudaStream_t stream) {
    using Axis = SampledAxis<double>;
    roi_gather<double, Axis, 1>(list, maps, channels, bins, static_cast<RoiReach<Axis>*>(reaches), stream);
  }
};

RoiRule align_rule(int64_t sampling_ratio, bool aligned) {
  return {sampling_ratio, aligned ? 0.5 : 0.0, !aligned, false, false};
}

// R-FCN (arXiv 1605.06409): the half pixel is always taken off and sizes are not raised to 1.
RoiRule positional_rule(int64_t sampling_ratio) { return {sampling_ratio, 0.5, false, false, true}; }

}  // namespace

Tensor roi_align_op(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                    int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  return average_images<SampledKernels>({input}, rois, nullptr, {spatial_scale}, pooled_height, pooled_width,
                                        align_rule(sampling_ratio, aligned));
}

Tensor roi_align_backward_op(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                             int64_t pooled_width, int64_t sampling_ratio, bool aligned, int64_t batch,
                             int64_t channels, int64_t height, int64_t width) {
  return spread_images<SampledKernels>(grad, {{batch, channels, height, width}}, rois, nullptr, {spatial_scale},
                                       pooled_height, pooled_width, align_rule(sampling_ratio, aligned))[0];
}

Tensor multiscale_roi_align_op(const std::vector<Tensor>& inputs, const Tensor& rois, const Tensor& levels,
                               const std::vector<double>& scales, int64_t pooled_height, int64_t pooled_width,
                               int64_t sampling_ratio, bool aligned) {
  return average_images<SampledKernels>(inputs, rois, &levels, scales, pooled_height, pooled_width,
                                        align_rule(sampling_ratio, aligned));
}

std::vector<Tensor> multiscale_roi_align_backward_op(const Tensor& grad, const std::vector<Tensor>& inputs,
                                                     const Tensor& rois, const Tensor& levels,
                                                     const std::vector<double>& scales, int64_t pooled_height,
                                                     int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  std::vector<std::array<int64_t, 4>> sizes;
  for (const Tensor& input : inputs) {
    require_shape(input, {-1, -1, -1, -1}, "input");
    sizes.push_back({input.size(0), input.size(1), input.size(2), input.size(3)});
  }
  return spread_images<SampledKernels>(grad, sizes, rois, &levels, scales, pooled_height, pooled_width,
                                       align_rule(sampling_ratio, aligned));
}

Tensor ps_roi_align_op(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                       int64_t pooled_width, int64_t sampling_ratio) {
  return average_images<SampledKernels>({input}, rois, nullptr, {spatial_scale}, pooled_height, pooled_width,
                                        positional_rule(sampling_ratio));
}

Tensor ps_roi_align_backward_op(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                                int64_t pooled_width, int64_t sampling_ratio, int64_t batch, int64_t channels,
                                int64_t height, int64_t width) {
  return spread_images<SampledKernels>(grad, {{batch, channels, height, width}}, rois, nullptr, {spatial_scale},
                                       pooled_height, pooled_width, positional_rule(sampling_ratio))[0];
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("roi_align", TORCH_BOX(&roi_align_op));
  m.impl("roi_align_backward", TORCH_BOX(&roi_align_backward_op));
  m.impl("multiscale_roi_align", TORCH_BOX(&multiscale_roi_align_op));
  m.impl("multiscale_roi_align_backward", TORCH_BOX(&multiscale_roi_align_backward_op));
  m.impl("ps_roi_align", TORCH_BOX(&ps_roi_align_op));
  m.impl("ps_roi_align_backward", TORCH_BOX(&ps_roi_align_backward_op));
}

}  // namespace podium::cuda

#endif
