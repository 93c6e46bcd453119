// Runs the kernels of roi_align_kernels.h over RoIs, images of one or more pyramid levels, and channels.
#pragma once

#include <array>
#include <utility>

#include "roi_align_kernels.h"
#include "roi_binding.h"
#include "roi_plan.h"

namespace podium {

// The images that RoIs are taken of, and how. Calls `plan(plan, corners, scale, height, width)` for each RoI that names
// an image; corners are x1, y1, x2, y2.
template <class T, class Planner>
struct Pooling {
  const std::vector<Tensor>& images;  // (n, channels, height, width) for each level, of type T
  const std::vector<double>& scales;
  Tensor rois;             // (K, 5) dense, of type T
  const int64_t* levels;   // K of them, or null where there is one level
  int64_t pooled_height, pooled_width;
  bool positional;         // bin b of output channel c comes of input channel c * bins + b
  Planner planner;
};

// RoIs planned at once, to bound the memory that plans take. Part of the results' definition only in the order of the
// sums, so it is a constant.
constexpr int64_t rois_at_once = 4096;

// Whether all channels of each pixel are aligned cache lines.
template <class T>
bool made_of_lines(const Tensor& image) {
  bool good = image.numel() > 0 && image.stride(1) == 1 && image.size(1) % lanes<T> == 0 &&
              reinterpret_cast<uintptr_t>(image.const_data_ptr()) % 64 == 0;
  for (const int64_t d : {0, 2, 3}) good = good && image.stride(d) % lanes<T> == 0;
  return good;
}

// forward: images -> bins (K, c, pooled_height, pooled_width); else bins -> images, which are overwritten whole.
template <class T, class Planner>
void run(const Pooling<T, Planner>& pooling, const Tensor& bins, bool forward) {
  const auto& [images, scales, rois, levels, pooled_height, pooled_width, positional, planner] = pooling;
  constexpr int64_t L = lanes<T>;
  std::vector<std::pair<int64_t, int64_t>> maps;  // level, image
  std::vector<int64_t> first_map;
  for (size_t level = 0; level < images.size(); ++level) {
    first_map.push_back(int64_t(maps.size()));
    for (int64_t n = 0; n < images[level].size(0); ++n) maps.emplace_back(int64_t(level), n);
  }
  const int64_t count = int64_t(maps.size()), bin_count = pooled_height * pooled_width;
  const int64_t channels = bins.size(1), blocks = (channels + L - 1) / L, planes = positional ? bin_count : 1;
  const int64_t k = rois.size(0);
  const T* corners = read<T>(rois);
  void* bins_data = forward ? bins.mutable_data_ptr() : const_cast<void*>(bins.const_data_ptr());
  bool direct = !positional && made_of_lines<T>(bins);
  for (const Tensor& image : images) direct = direct && made_of_lines<T>(image);
  if (direct && !forward)
    for (Tensor image : images) torch::stable::zero_(image);
  Plan<T> plan;
  for (int64_t begin = 0; begin < std::max<int64_t>(k, 1); begin += rois_at_once) {
    const int64_t end = std::min(k, begin + rois_at_once);
    plan.clear();
    std::vector<std::vector<int64_t>> members(count);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t level = levels ? levels[i] : 0;
      const bool known = level >= 0 && level < int64_t(images.size());
      const int64_t image = known ? image_of(corners + 5 * i, images[level].size(0)) : -1;
      if (image < 0)
        add_nothing(plan, pooled_height);
      else
        planner(plan, corners + 5 * i + 1, T(scales[level]), images[level].size(2), images[level].size(3));
      members[image < 0 ? 0 : first_map[level] + image].push_back(i - begin);
    }
    std::vector<RoiWork<T>> works(count);
    int64_t scratch_size = (plan.most_columns + 1) * blocks * L;  // of direct work
    for (int64_t m = 0; m < count; ++m) {
      Rect rect{INT64_MAX, INT64_MAX, 0, 0};
      int64_t windows = 0, largest = 0;
      int64_t reads = 0, sums = 0;  // of one channel and plane: by a sparse kernel, and lines summed by the other
      for (const int64_t i : members[m]) {
        const RoiTaps& roi = plan.rois[i];
        const Rect& window = roi.window;
        if (window.area() == 0) continue;
        const int64_t rows = plan.ends[roi.row_ends + pooled_height] - plan.ends[roi.row_ends];
        reads += positional ? rows * roi.width / pooled_height : rows * roi.count + bin_count * roi.width;
        sums += rows * roi.count / (positional ? pooled_height : 1);
        rect = {std::min(rect.y0, window.y0), std::min(rect.x0, window.x0), std::max(rect.y1, window.y1),
                std::max(rect.x1, window.x1)};
        windows += window.area();
        largest = std::max(largest, window.area());
      }
      if (rect.y1 == 0) rect = {};
      const bool one_by_one = forward && windows < rect.area();
      // By measurement: a number read alone costs as much as two that are packed, or as a line that is summed.
      const int64_t pixels = one_by_one ? windows : rect.area(), taken = std::min(L, channels);
      const Tensor& image = images[maps[m].first];
      const bool planar = channels * planes == 1 || image.stride(3) == 1;
      const bool sparse = forward && !direct && planar && taken * reads < taken * pixels / 2 + sums;
      works[m] = {plan.rois.data(), plan.ends.data(), plan.taps.data(), members[m].data(), int64_t(members[m].size()),
                  pooled_height, pooled_width, 0, pooled_height, 0, pooled_width, rect, one_by_one, direct, sparse};
      if (sparse)
        scratch_size = std::max(scratch_size, plan.most_columns + 1);
      else if (!direct)
        scratch_size = std::max(scratch_size, roi_scratch<T>(one_by_one ? largest : rect.area(), plan.most_columns,
                                                             bin_count));
    }
    const auto run_one = [&](const RoiWork<T>& work, int64_t m, int64_t plane, int64_t channel, int64_t taken,
                             T* scratch) {
      const Tensor& image = images[maps[m].first];
      void* image_data = forward ? const_cast<void*>(image.const_data_ptr()) : image.mutable_data_ptr();
      const auto pixels = planes_of<T>(image_data, image, maps[m].second, channel * planes + plane, planes, taken);
      const auto pooled = planes_of<T>(bins_data, bins, begin, channel, 1, taken);
      const Planes<const T> from_pixels{pixels.data, taken, pixels.channel, pixels.row, pixels.column};
      const Planes<const T> from_pooled{pooled.data, taken, pooled.channel, pooled.row, pooled.column};
      const int64_t step = bins.stride(0), height = image.size(2), width = image.size(3);
      if constexpr (sizeof(T) == 8) {
        if (forward)
          PODIUM_SELECT(roi_pool_taps_f64)(work, from_pixels, pooled, step, scratch);
        else
          PODIUM_SELECT(roi_spread_taps_f64)(work, from_pooled, step, pixels, height, width, begin > 0, scratch);
      } else {
        if (forward)
          PODIUM_SELECT(roi_pool_taps_f32)(work, from_pixels, pooled, step, scratch);
        else
          PODIUM_SELECT(roi_spread_taps_f32)(work, from_pooled, step, pixels, height, width, begin > 0, scratch);
      }
    };
    if (direct && forward) {  // threads share the RoIs
      std::vector<std::pair<int64_t, const int64_t*>> tasks;
      for (int64_t m = 0; m < count; ++m)
        for (const int64_t& i : members[m]) tasks.emplace_back(m, &i);
      torch::stable::parallel_for(0, int64_t(tasks.size()), 1, [&](int64_t first, int64_t last) {
        const auto scratch = aligned_memory<T>(scratch_size);
        for (int64_t task = first; task < last; ++task) {
          RoiWork<T> work = works[tasks[task].first];
          work.members = tasks[task].second, work.count = 1;
          run_one(work, tasks[task].first, 0, 0, channels, scratch.get());
        }
      });
    } else if (direct) {  // threads share the channels, so that each sum is one thread's
      torch::stable::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
        const auto scratch = aligned_memory<T>(scratch_size);
        for (int64_t m = 0; m < count; ++m) run_one(works[m], m, 0, first * L, (last - first) * L, scratch.get());
      });
    } else {  // likewise; images vary fastest, so that all threads get as many RoIs
      torch::stable::parallel_for(0, blocks * planes * count, 1, [&](int64_t first, int64_t last) {
        const auto scratch = aligned_memory<T>(scratch_size);
        for (int64_t task = first; task < last; ++task) {
          const int64_t m = task % count, plane = task / count % planes, channel = task / count / planes * L;
          RoiWork<T> work = works[m];
          if (work.count == 0 && (forward || begin > 0)) continue;
          if (positional) {
            work.row_first = plane / pooled_width, work.row_last = work.row_first + 1;
            work.column_first = plane % pooled_width, work.column_last = work.column_first + 1;
          }
          run_one(work, m, plane, channel, std::min(L, channels - channel), scratch.get());
        }
      });
    }
  }
}

inline void check_pooling(const Tensor& rois, int64_t pooled_height, int64_t pooled_width) {
  check_roi(rois.dim() == 2 && rois.size(1) == 5, "rois must have shape (K, 5)");
  check_roi(pooled_height > 0 && pooled_width > 0, "the output size must be positive");
}

// Calls `make_planner(T)` for the type to compute in and pools; the result has the type and memory order of the inputs.
template <class MakePlanner>
Tensor pool_images(const std::vector<Tensor>& inputs, const Tensor& rois, const Tensor* levels,
                   const std::vector<double>& scales, int64_t pooled_height, int64_t pooled_width, bool positional,
                   const MakePlanner& make_planner) {
  check_pooling(rois, pooled_height, pooled_width);
  check_roi(!inputs.empty() && inputs.size() == scales.size(), "there must be a scale for each input");
  check_roi(!levels || (levels->dim() == 1 && levels->size(0) == rois.size(0)), "there must be a level for each RoI");
  const Tensor& first = inputs[0];
  const ScalarType type = compute_type(first);
  std::vector<Tensor> images;
  for (const Tensor& input : inputs) {
    check_roi(input.dim() == 4 && input.size(1) == first.size(1), "inputs must be (N, C, H, W) with one C");
    images.push_back(typed(input, type));
  }
  int64_t channels = first.size(1);
  if (positional) {
    check_roi(channels % (pooled_height * pooled_width) == 0, "the channels must be a multiple of the bins");
    channels /= pooled_height * pooled_width;
  }
  Tensor out = new_planes(first, rois.size(0), channels, pooled_height, pooled_width, type, channels_last(first));
  if (out.numel() == 0) return typed(out, first.scalar_type());
  bool any = false;
  for (const Tensor& image : images) any = any || image.size(0) > 0;
  if (!any) torch::stable::zero_(out);
  const Tensor dense_rois = dense(rois, type);
  Tensor dense_levels = levels ? dense(*levels, ScalarType::Long) : rois;
  const int64_t* level = levels ? read<int64_t>(dense_levels) : nullptr;
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    const auto planner = make_planner(zero);
    if (any)
      run(Pooling<T, decltype(planner)>{images, scales, dense_rois, level, pooled_height, pooled_width, positional,
                                        planner},
          out, true);
  };
  type == ScalarType::Double ? go(double(0)) : go(float(0));
  return typed(out, first.scalar_type());
}

// The transposed operation: the gradients of images of the given sizes (n, c, h, w).
template <class MakePlanner>
std::vector<Tensor> spread_images(const Tensor& grad, const std::vector<std::array<int64_t, 4>>& sizes,
                                  const Tensor& rois, const Tensor* levels, const std::vector<double>& scales,
                                  int64_t pooled_height, int64_t pooled_width, bool positional,
                                  const MakePlanner& make_planner) {
  check_pooling(rois, pooled_height, pooled_width);
  check_roi(!sizes.empty() && sizes.size() == scales.size(), "there must be a scale for each input");
  check_roi(!levels || (levels->dim() == 1 && levels->size(0) == rois.size(0)), "there must be a level for each RoI");
  const int64_t bins = positional ? pooled_height * pooled_width : 1;
  check_roi(grad.dim() == 4 && grad.size(0) == rois.size(0) && grad.size(1) * bins == sizes[0][1] &&
                grad.size(2) == pooled_height && grad.size(3) == pooled_width,
            "grad must be (K, C, pooled_height, pooled_width)");
  const ScalarType type = compute_type(grad);
  const Tensor typed_grad = typed(grad, type);
  std::vector<Tensor> images;
  bool any = false;
  for (const auto& [n, c, h, w] : sizes) {
    check_roi(c == sizes[0][1], "inputs must have one number of channels");
    images.push_back(new_planes(grad, n, c, h, w, type, channels_last(grad)));
    any = any || images.back().numel() > 0;
  }
  if (!any) return images;
  const Tensor dense_rois = dense(rois, type);
  Tensor dense_levels = levels ? dense(*levels, ScalarType::Long) : rois;
  const int64_t* level = levels ? read<int64_t>(dense_levels) : nullptr;
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    const auto planner = make_planner(zero);
    run(Pooling<T, decltype(planner)>{images, scales, dense_rois, level, pooled_height, pooled_width, positional,
                                      planner},
        typed_grad, false);
  };
  type == ScalarType::Double ? go(double(0)) : go(float(0));
  for (Tensor& image : images) image = typed(image, grad.scalar_type());
  return images;
}

}  // namespace podium
