// What the bindings of the RoI operators share: memory orders, descriptions of tensors for the kernels, and the two
// directions of average pooling.
#pragma once

#include "../cpu/roi_binding.h"
#include "binding.cuh"
#include "roi_kernels.cuh"

namespace podium::cuda {

using torch::headeronly::MemoryFormat;

inline int narrow_size(int64_t size) {
  require(size <= (int64_t(1) << 30), "podium: a dimension is too large for CUDA");
  return int(size);
}

// Steps along dimensions of one element are never taken, and may be anything in a tensor.
inline int64_t step_of(const Tensor& tensor, int64_t dimension) {
  return tensor.size(dimension) == 1 ? 0 : tensor.stride(dimension);
}

inline RoiMap map_of(const Tensor& tensor, double scale) {
  return {const_cast<void*>(tensor.const_data_ptr()), tensor.size(0), step_of(tensor, 0), step_of(tensor, 1),
          step_of(tensor, 2), step_of(tensor, 3), narrow_size(tensor.size(2)), narrow_size(tensor.size(3)), scale};
}

inline RoiBins bins_of(const Tensor& tensor) {
  narrow_size(tensor.size(2) * tensor.size(3));
  return {const_cast<void*>(tensor.const_data_ptr()), step_of(tensor, 0), step_of(tensor, 1), step_of(tensor, 2),
          step_of(tensor, 3), tensor.size(0), narrow_size(tensor.size(1)), int(tensor.size(2)), int(tensor.size(3))};
}

// Whether N channels can be moved at once.
inline bool packs(const Tensor& tensor, int64_t n) {
  if (tensor.size(1) % n != 0 || step_of(tensor, 1) != 1) return false;
  for (const int64_t dimension : {0, 2, 3})
    if (step_of(tensor, dimension) % n != 0) return false;
  return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % (n * tensor.element_size()) == 0;
}

inline void require_rois(const Tensor& rois, const Tensor* levels, size_t inputs, size_t scales, int64_t pooled_height,
                         int64_t pooled_width) {
  require_shape(rois, {-1, 5}, "rois");
  if (levels) require_shape(*levels, {rois.size(0)}, "levels");
  require(inputs > 0 && inputs == scales, "podium: there must be a scale for each input");
  require(pooled_height > 0 && pooled_width > 0 && pooled_height < (1 << 15) && pooled_width < (1 << 15),
          "podium: the output size must be positive, and below 32768");
}

// Calls f for the levels, kMaxLevels at a time.
template <class F>
void for_levels(const std::vector<Tensor>& images, const std::vector<double>& scales, F f) {
  RoiMaps maps{};
  maps.levels = int64_t(images.size());
  for (maps.base = 0; maps.base < maps.levels; maps.base += kMaxLevels) {
    maps.count = int(std::min<int64_t>(kMaxLevels, maps.levels - maps.base));
    for (int i = 0; i < maps.count; ++i) maps.map[i] = map_of(images[maps.base + i], scales[maps.base + i]);
    f(maps);
  }
}

// RoIs and levels as the kernels read them; keeps the tensors alive.
template <class A>
struct DenseRois {
  Tensor rois;
  std::optional<Tensor> levels;
  RoiList<A> list;

  DenseRois(const Tensor& given, const Tensor* given_levels, const RoiRule& rule)
      : rois(dense(given, sizeof(A) == 8 ? ScalarType::Double : ScalarType::Float)) {
    if (given_levels) levels = dense(*given_levels, ScalarType::Long);
    list = {read<A>(rois), levels ? read<int64_t>(*levels) : nullptr, rule};
  }
};

// Averages over bins; the result has the type and memory order of the first input. `Kernels` names the kernels that
// exist for an axis: see SampledKernels.
template <class Kernels>
Tensor average_images(const std::vector<Tensor>& inputs, const Tensor& rois, const Tensor* levels,
                      const std::vector<double>& scales, int64_t pooled_height, int64_t pooled_width,
                      const RoiRule& rule) {
  require_rois(rois, levels, inputs.size(), scales.size(), pooled_height, pooled_width);
  const Tensor& first = inputs[0];
  require_device(first, {&rois, levels ? levels : &rois});
  int64_t channels = first.dim() == 4 ? first.size(1) : 0, pixels = 0;
  for (const Tensor& input : inputs) {
    require_shape(input, {-1, channels, -1, -1}, "input");
    require_device(first, {&input});
    require(input.scalar_type() == first.scalar_type(), "podium: inputs must have one type");
    pixels += input.size(0) * input.size(2) * input.size(3);
  }
  const int64_t bin_count = pooled_height * pooled_width, k = rois.size(0);
  if (rule.positional) {
    require(channels % bin_count == 0, "podium: the channels must be a multiple of the bins");
    channels /= bin_count;
  }
  const Scope scope(first);
  const bool last = channels_last(first);
  const ScalarType kept = first.scalar_type(), computed = compute_type(first);
  // Usual maps are turned to channels innermost first, unless there are too few bins to make that worth its while.
  std::vector<Tensor> images = inputs;
  const int64_t pack = 16 / int64_t(first.element_size());
  bool packed = Kernels::has_pack(kept) && !rule.positional && channels % pack == 0 && channels > 0;
  if (packed && !last && k * bin_count * 8 >= pixels)
    for (Tensor& image : images) image = torch::stable::contiguous(image, MemoryFormat::ChannelsLast);
  for (const Tensor& image : images) packed = packed && (image.numel() == 0 || packs(image, pack));
  if (!packed)
    for (Tensor& image : images) image = typed(image, computed);
  Tensor out = new_planes(first, k, channels, pooled_height, pooled_width, packed ? kept : computed, last);
  if (out.numel() == 0) return typed(out, kept);
  const auto go = [&](auto zero) {
    using A = decltype(zero);
    const DenseRois<A> dense_rois(rois, levels, rule);
    const bool inner = packed || last;
    for_levels(images, scales, [&](const RoiMaps& maps) {
      Kernels::average(dense_rois.list, maps, bins_of(out), packed, out.scalar_type(), inner, scope.stream);
    });
  };
  computed == ScalarType::Double ? go(double(0)) : go(float(0));
  return typed(out, kept);
}

// The transposed operation: the gradients of images of the given sizes (n, c, h, w), in the type and memory order of grad.
template <class Kernels>
std::vector<Tensor> spread_images(const Tensor& grad, const std::vector<std::array<int64_t, 4>>& sizes,
                                  const Tensor& rois, const Tensor* levels, const std::vector<double>& scales,
                                  int64_t pooled_height, int64_t pooled_width, const RoiRule& rule) {
  require_rois(rois, levels, sizes.size(), scales.size(), pooled_height, pooled_width);
  const int64_t channels = sizes[0][1], bin_count = rule.positional ? pooled_height * pooled_width : 1;
  require(channels % bin_count == 0, "podium: the channels must be a multiple of the bins");
  require_shape(grad, {rois.size(0), channels / bin_count, pooled_height, pooled_width}, "grad");
  require_device(grad, {&rois, levels ? levels : &rois});
  const Scope scope(grad);
  const bool last = channels_last(grad), deterministic = wants_determinism();
  const ScalarType kept = grad.scalar_type(), computed = compute_type(grad);
  const int64_t pack = 16 / (computed == ScalarType::Double ? 8 : 4);
  bool packed = Kernels::has_pack(computed) && !rule.positional && channels % pack == 0 && channels > 0;
  Tensor bins = typed(grad, computed);
  if (packed && bins.numel() > 0) {
    bins = torch::stable::contiguous(bins, MemoryFormat::ChannelsLast);
    packed = packs(bins, pack);
  }
  std::vector<Tensor> images;
  for (const auto& [n, c, h, w] : sizes) {
    require(c == channels, "podium: inputs must have one number of channels");
    images.push_back(new_planes(grad, n, c, h, w, computed, packed || last));
    if (!deterministic) torch::stable::zero_(images.back());
  }
  const auto go = [&](auto zero) {
    using A = decltype(zero);
    const DenseRois<A> dense_rois(rois, levels, rule);
    for_levels(images, scales, [&](const RoiMaps& maps) {
      if (deterministic) {
        Tensor reaches = bytes(grad, rois.size(0) * Kernels::template reach_size<A>());
        Kernels::gather(dense_rois.list, maps, int(channels), bins_of(bins), packed, write<char>(reaches), scope.stream);
      } else {
        Kernels::scatter(dense_rois.list, maps, bins_of(bins), packed, packed || last, scope.stream);
      }
    });
  };
  narrow_size(channels);
  computed == ScalarType::Double ? go(double(0)) : go(float(0));
  for (Tensor& image : images) {
    if (packed && !last) image = torch::stable::contiguous(image);
    image = typed(image, kept);
  }
  return images;
}

}  // namespace podium::cuda
