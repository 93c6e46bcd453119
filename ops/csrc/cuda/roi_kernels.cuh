// Pooling of regions of interest and its gradient: averages by taps (roi_axes.cuh) and maxima. Any strides; with the
// channels innermost, a thread takes 16 bytes of them at once.
#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include "launch.cuh"
#include "ranking_kernels.cuh"
#include "roi_axes.cuh"

namespace podium::cuda {

constexpr int kMaxLevels = 8;  // of a pyramid, in one launch

// An image or gradient (images, channels, height, width) and its steps in memory.
struct RoiMap {
  void* data;
  int64_t images, image_step, channel_step, row_step, column_step;
  int height, width;
  double scale;
};

// Levels [base, base + count) of a pyramid of `levels`.
struct RoiMaps {
  RoiMap map[kMaxLevels];
  int64_t base, levels;
  int count;
};

// The bins (k, channels, pooled_height, pooled_width) of the RoIs and their steps in memory.
struct RoiBins {
  void* data;
  int64_t roi_step, channel_step, row_step, column_step;
  int64_t k;
  int channels, height, width;
};

// K RoIs: image, x1, y1, x2, y2; levels may be null where there is one.
template <class A>
struct RoiList {
  const A* rois;
  const int64_t* levels;
  RoiRule rule;
};

struct RoiPlace {
  int map;  // in RoiMaps; -1: another launch's, -2: none
  int64_t image;
};

template <class A>
__device__ inline RoiPlace place_of(const RoiList<A>& list, const RoiMaps& maps, int64_t k) {
  const int64_t level = list.levels ? list.levels[k] : 0;
  if (level < 0 || level >= maps.levels) return {maps.base == 0 ? -2 : -1, 0};
  if (level < maps.base || level >= maps.base + maps.count) return {-1, 0};
  const int map = int(level - maps.base);
  const A image = list.rois[5 * k];
  if (!(image > A(-1) && image < A(maps.map[map].images))) return {-2, 0};  // also NaN
  return {map, int64_t(image)};
}

template <class Axis, class A>
__device__ inline Axis row_axis(const RoiList<A>& list, int64_t k, int pooled, const RoiMap& map) {
  const A scale = A(map.scale), offset = A(list.rule.offset);
  return Axis(list.rois[5 * k + 2] * scale - offset, list.rois[5 * k + 4] * scale - offset, list.rule, pooled, map.height);
}

template <class Axis, class A>
__device__ inline Axis column_axis(const RoiList<A>& list, int64_t k, int pooled, const RoiMap& map) {
  const A scale = A(map.scale), offset = A(list.rule.offset);
  return Axis(list.rois[5 * k + 1] * scale - offset, list.rois[5 * k + 3] * scale - offset, list.rule, pooled, map.width);
}

template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T value[N];
};

// fmad is off for the parity of box overlaps; in sums of products it is as welcome as it is harmless.
__device__ inline float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double multiply_add(double a, double b, double c) { return fma(a, b, c); }

template <class A, class T>
__device__ inline A widened(T value) {
  return A(value);
}
template <class T, class A>
__device__ inline T narrowed(A value) {
  return T(value);
}
#ifdef __CUDACC__
template <>
__device__ inline float widened<float>(__half value) {
  return __half2float(value);
}
template <>
__device__ inline float widened<float>(__nv_bfloat16 value) {
  return __bfloat162float(value);
}
template <>
__device__ inline __half narrowed<__half>(float value) {
  return __float2half_rn(value);
}
template <>
__device__ inline __nv_bfloat16 narrowed<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
#endif

template <class A, int N>
__device__ inline void add_to(A* at, const A (&value)[N], A weight) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (N == 4 && sizeof(A) == 4) {
    atomicAdd(reinterpret_cast<float4*>(at),
              make_float4(value[0] * weight, value[1] * weight, value[2] * weight, value[3] * weight));
    return;
  }
#endif
#pragma unroll
  for (int i = 0; i < N; ++i) atomicAdd(at + i, value[i] * weight);
}

// Threads share a RoI's bins and channels. With the channels innermost they are neighbours in channels, else in bins.
struct RoiTiling {
  bool channels_inner;
  int groups;      // of N channels
  int bin_blocks;  // of a RoI
  dim3 block_shape;

  RoiTiling(const RoiBins& bins, int vector, bool channels_inner)
      : channels_inner(channels_inner), groups((bins.channels + vector - 1) / vector) {
    const int inner_count = channels_inner ? groups : bins.height * bins.width;
    int inner = 32;
    while (inner < inner_count && inner < kThreads) inner *= 2;
    block_shape = dim3(unsigned(inner), unsigned(kThreads / inner));
    const int each = channels_inner ? int(block_shape.y) : int(block_shape.x);
    bin_blocks = (bins.height * bins.width + each - 1) / each;
  }
  dim3 grid(const RoiBins& bins) const {
    const int each = int(channels_inner ? block_shape.x : block_shape.y);
    return grid_of(bins.k * bin_blocks, (groups + each - 1) / each);
  }
};

// One bin of one RoI and one group of channels; f(k, bin, group).
template <class F>
__device__ inline void for_own_bin(const RoiTiling& tiling, const RoiBins& bins, F f) {
  const int64_t k = blockIdx.x / unsigned(tiling.bin_blocks);
  const int bin_block = int(blockIdx.x % unsigned(tiling.bin_blocks));
  const bool inner = tiling.channels_inner;
  const int bin = bin_block * int(inner ? blockDim.y : blockDim.x) + int(inner ? threadIdx.y : threadIdx.x);
  if (bin >= bins.height * bins.width) return;
  const int each = int(inner ? blockDim.x : blockDim.y);
  for (int group = int(blockIdx.y) * each + int(inner ? threadIdx.x : threadIdx.y); group < tiling.groups;
       group += int(gridDim.y) * each)
    f(k, bin, group);
}

// scatter false: averages the pixels into the bins. true: adds the bins' gradients, with atomics, to the maps, which
// start as zero. T: type in memory, A: type of the RoIs and of the sums. N channels at a time; more than one only where
// channel_step is 1 everywhere (the averages excepted), pointers and steps are aligned to N, and channels are a multiple
// of N.
template <class T, class A, class Axis, int N, bool scatter>
__global__ void __launch_bounds__(kThreads)
    roi_average_kernel(RoiList<A> list, RoiMaps maps, RoiBins bins, RoiTiling tiling) {
  for_own_bin(tiling, bins, [&](int64_t k, int bin, int group) {
    const RoiPlace place = place_of(list, maps, k);
    if (place.map == -1 || (scatter && place.map < 0)) return;
    const int row_bin = bin / bins.width, column_bin = bin % bins.width, channel = group * N;
    T* own = static_cast<T*>(bins.data) + k * bins.roi_step + channel * bins.channel_step + row_bin * bins.row_step +
             column_bin * bins.column_step;
    A values[N] = {};
    if constexpr (scatter) {
      const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(own);
#pragma unroll
      for (int i = 0; i < N; ++i) values[i] = widened<A>(pack.value[i]);
    }
    if (place.map >= 0) {
      const RoiMap& map = maps.map[place.map];
      const int64_t source = list.rule.positional ? int64_t(channel) * bins.height * bins.width + bin : channel;
      T* image = static_cast<T*>(map.data) + place.image * map.image_step + source * map.channel_step;
      const auto corner = [&](int row, int column, A weight) {
        if (weight == A(0)) return;  // times infinity it would not be nothing
        T* at = image + row * map.row_step + column * map.column_step;
        if constexpr (scatter) {
          add_to<A, N>(at, values, weight);
        } else {
          const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(at);
#pragma unroll
          for (int i = 0; i < N; ++i) values[i] = multiply_add(weight, widened<A>(pack.value[i]), values[i]);
        }
      };
      const Axis y = row_axis<Axis>(list, k, bins.height, map), x = column_axis<Axis>(list, k, bins.width, map);
      y.visit(row_bin, A(-1), A(map.height), [&](int top, int bottom, A top_weight, A bottom_weight) {
        x.visit(column_bin, A(-1), A(map.width), [&](int left, int right, A left_weight, A right_weight) {
          corner(top, left, top_weight * left_weight);
          corner(top, right, top_weight * right_weight);
          corner(bottom, left, bottom_weight * left_weight);
          corner(bottom, right, bottom_weight * right_weight);
        });
      });
    }
    if constexpr (!scatter) {
      if (bins.channel_step == 1 && N > 1) {
        Pack<T, N> pack;
#pragma unroll
        for (int i = 0; i < N; ++i) pack.value[i] = narrowed<T>(values[i]);
        *reinterpret_cast<Pack<T, N>*>(own) = pack;
      } else {
#pragma unroll
        for (int i = 0; i < N; ++i) own[i * bins.channel_step] = narrowed<T>(values[i]);
      }
    }
  });
}

template <class T, class A, class Axis, int N, bool scatter>
void roi_average(const RoiList<A>& list, const RoiMaps& maps, const RoiBins& bins, bool channels_inner,
                 cudaStream_t stream) {
  if (bins.k == 0 || bins.channels == 0) return;
  const RoiTiling tiling(bins, N, channels_inner);
  launch(roi_average_kernel<T, A, Axis, N, scatter>, tiling.grid(bins), tiling.block_shape, stream, list, maps, bins,
         tiling);
}

// The largest pixel of each bin and where it is (row * width + column, -1 without one); 0 where a bin is empty.
// `positions` has the strides of `bins`. NaN is never the largest; the first of equals is.
template <class A>
__global__ void __launch_bounds__(kThreads)
    roi_max_kernel(RoiList<A> list, RoiMaps maps, RoiBins bins, int32_t* positions, RoiTiling tiling) {
  for_own_bin(tiling, bins, [&](int64_t k, int bin, int channel) {
    const RoiPlace place = place_of(list, maps, k);
    const int row_bin = bin / bins.width, column_bin = bin % bins.width;
    const int64_t own = k * bins.roi_step + channel * bins.channel_step + row_bin * bins.row_step +
                        column_bin * bins.column_step;
    A best = 0;
    int32_t where = -1;
    if (place.map >= 0) {
      const RoiMap& map = maps.map[place.map];
      const A* image = static_cast<const A*>(map.data) + place.image * map.image_step + channel * map.channel_step;
      int top, bottom, left, right;
      row_axis<PixelAxis<A>>(list, k, bins.height, map).bounds(row_bin, top, bottom);
      column_axis<PixelAxis<A>>(list, k, bins.width, map).bounds(column_bin, left, right);
      if (top < bottom && left < right) best = A(-INFINITY);
      for (int row = top; row < bottom; ++row)
        for (int column = left; column < right; ++column) {
          const A value = image[row * map.row_step + column * map.column_step];
          if (value > best) best = value, where = row * map.width + column;
        }
    }
    static_cast<A*>(bins.data)[own] = best;
    positions[own] = where;
  });
}

template <class A>
void roi_max(const RoiList<A>& list, const RoiMaps& maps, const RoiBins& bins, int32_t* positions, bool channels_inner,
             cudaStream_t stream) {
  if (bins.k == 0 || bins.channels == 0) return;
  const RoiTiling tiling(bins, 1, channels_inner);
  launch(roi_max_kernel<A>, tiling.grid(bins), tiling.block_shape, stream, list, maps, bins, positions, tiling);
}

template <class A>
__device__ inline int64_t max_image(const A* rois, int64_t k, const RoiMap& map) {
  const A image = rois[5 * k];
  return image > A(-1) && image < A(map.images) ? int64_t(image) : -1;
}

__device__ inline int64_t bin_at(const RoiBins& bins, int64_t k, int channel, int bin) {
  return k * bins.roi_step + channel * bins.channel_step + bin / bins.width * bins.row_step +
         bin % bins.width * bins.column_step;
}
__device__ inline const int32_t* max_position(const RoiBins& positions, int64_t k, int channel, int bin) {
  return static_cast<const int32_t*>(positions.data) + bin_at(positions, k, channel, bin);
}
template <class A>
__device__ inline const A* max_gradient(const RoiBins& bins, int64_t k, int channel, int bin) {
  return static_cast<const A*>(bins.data) + bin_at(bins, k, channel, bin);
}

// Adds the bins' gradients where their largest pixels were, with atomics. `map` starts as zero; `positions` has steps of
// its own, as `bins` has.
template <class A>
__global__ void __launch_bounds__(kThreads)
    roi_max_scatter_kernel(const A* rois, RoiMap map, RoiBins bins, RoiBins positions, RoiTiling tiling) {
  for_own_bin(tiling, bins, [&](int64_t k, int bin, int channel) {
    const int64_t image = max_image(rois, k, map);
    const int32_t where = *max_position(positions, k, channel, bin);
    if (image < 0 || where < 0 || where >= int64_t(map.height) * map.width) return;
    A* plane = static_cast<A*>(map.data) + image * map.image_step + channel * map.channel_step;
    atomicAdd(plane + where / map.width * map.row_step + where % map.width * map.column_step,
              *max_gradient<A>(bins, k, channel, bin));
  });
}

// The same without atomics, in the order of the RoIs and bins: a warp for each channel of each image.
template <class A>
__global__ void __launch_bounds__(kThreads)
    roi_max_ordered_kernel(const A* rois, RoiMap map, RoiBins bins, RoiBins positions) {
  const int64_t task = thread_index() / 32;
  const int lane = int(threadIdx.x) & 31;
  if (task >= map.images * bins.channels) return;  // the whole warp
  const int64_t image = task / bins.channels;
  const int channel = int(task % bins.channels), count = bins.height * bins.width;
  A* plane = static_cast<A*>(map.data) + image * map.image_step + channel * map.channel_step;
  for (int64_t k = 0; k < bins.k; ++k) {
    if (max_image(rois, k, map) != image) continue;
    for (int base = 0; base < count; base += 32) {
      const int bin = base + lane;
      int where = -1;
      A value = 0;
      if (bin < count) {
        where = *max_position(positions, k, channel, bin);
        value = *max_gradient<A>(bins, k, channel, bin);
        if (where < 0 || where >= int64_t(map.height) * map.width) where = -1;
      }
      // Of the bins that share a pixel the first adds the sum of all.
      const unsigned peers = __match_any_sync(kAllLanes, where);
      if (__any_sync(kAllLanes, where >= 0 && (peers & (peers - 1)))) {
        A sum = 0;
        for (int other = 0; other < 32; ++other) {
          const A part = __shfl_sync(kAllLanes, value, other);
          if (peers >> other & 1) sum += part;
        }
        value = sum;
      }
      if (where >= 0 && __ffs(int(peers)) - 1 == lane)
        plane[where / map.width * map.row_step + where % map.width * map.column_step] += value;
      __syncwarp();  // the next bins may add to the same pixels
    }
  }
}

template <class A>
void roi_max_spread(const A* rois, const RoiMap& map, const RoiBins& bins, const RoiBins& positions, bool channels_inner,
                    bool deterministic, cudaStream_t stream) {
  if (bins.k == 0 || bins.channels == 0 || map.images == 0) return;
  const RoiTiling tiling(bins, 1, channels_inner);
  if (deterministic)
    launch(roi_max_ordered_kernel<A>, grid_of(blocks_for(map.images * bins.channels * 32)), dim3(kThreads), stream, rois,
           map, bins, positions);
  else
    launch(roi_max_scatter_kernel<A>, tiling.grid(bins), tiling.block_shape, stream, rois, map, bins, positions, tiling);
}

// The deterministic gradient: every pixel collects from the RoIs, in their order, whose windows hold it. Memory: one
// RoiReach for each RoI.
template <class Axis>
struct RoiReach {
  int map;  // in RoiMaps, or negative
  int64_t image;
  int top, bottom, left, right;
};

template <class A, class Axis>
__global__ void roi_reach_kernel(RoiList<A> list, RoiMaps maps, RoiBins bins, RoiReach<Axis>* reaches) {
  const int64_t k = thread_index();
  if (k >= bins.k) return;
  const RoiPlace place = place_of(list, maps, k);
  RoiReach<Axis> reach{place.map, place.image, 0, 0, 0, 0};
  if (place.map >= 0) {
    row_axis<Axis>(list, k, bins.height, maps.map[place.map]).window(reach.top, reach.bottom);
    column_axis<Axis>(list, k, bins.width, maps.map[place.map]).window(reach.left, reach.right);
  }
  reaches[k] = reach;
}

struct GatherTiling {
  dim3 block_shape;  // groups of channels, pixels of a row
  int row_blocks;    // in a row

  GatherTiling(int groups, int width) {
    int inner = 8;
    while (inner < groups && inner < 64) inner *= 2;
    block_shape = dim3(unsigned(inner), unsigned(kThreads / inner));
    row_blocks = (width + int(block_shape.y) - 1) / int(block_shape.y);
  }
};

// Overwrites map number `which`. `channels`: of the map.
template <class A, class Axis, int N>
__global__ void __launch_bounds__(kThreads)
    roi_gather_kernel(RoiList<A> list, RoiMaps maps, int which, int channels, RoiBins bins,
                      const RoiReach<Axis>* reaches, GatherTiling tiling) {
  __shared__ int hits[kThreads];
  __shared__ int warp_hits[kThreads / 32];
  const RoiMap& map = maps.map[which];
  const int thread = int(threadIdx.y * blockDim.x + threadIdx.x), lane = thread & 31, warp = thread >> 5;
  const int64_t line = blockIdx.x / unsigned(tiling.row_blocks);
  const int64_t image = line / map.height;
  const int row = int(line % map.height);
  const int left = int(blockIdx.x % unsigned(tiling.row_blocks) * blockDim.y), column = left + int(threadIdx.y);
  const int groups = (channels + N - 1) / N, bin_count = bins.height * bins.width;
  for (int first_group = int(blockIdx.y * blockDim.x); first_group < groups; first_group += int(gridDim.y * blockDim.x)) {
    const int group = first_group + int(threadIdx.x);
    const bool mine = column < map.width && group < groups;
    const int channel = group * N;
    // In position-sensitive pooling a channel of the map belongs to one bin.
    const int own_bin = list.rule.positional ? channel % bin_count : 0;
    const int source = list.rule.positional ? channel / bin_count : channel;
    A sums[N] = {};
    for (int64_t base = 0; base < bins.k; base += kThreads) {
      // All threads look at a RoI each; those that reach the block's pixels are listed in their order.
      bool hit = false;
      if (base + thread < bins.k) {
        const RoiReach<Axis> reach = reaches[base + thread];
        hit = reach.map == which && reach.image == image && reach.top <= row && row < reach.bottom &&
              reach.left < left + int(blockDim.y) && left < reach.right;
      }
      const unsigned lanes = __ballot_sync(kAllLanes, hit);
      if (lane == 0) warp_hits[warp] = __popc(lanes);
      __syncthreads();
      int before = 0, count = 0;
      for (int i = 0; i < kThreads / 32; ++i) {
        if (i < warp) before += warp_hits[i];
        count += warp_hits[i];
      }
      if (hit) hits[before + __popc(lanes & ((1u << lane) - 1))] = thread;
      __syncthreads();
      for (int i = 0; mine && i < count; ++i) {
        const int64_t k = base + hits[i];
        const Axis y = row_axis<Axis>(list, k, bins.height, map), x = column_axis<Axis>(list, k, bins.width, map);
        int top, bottom, start, end;
        y.bins(row, top, bottom);
        x.bins(column, start, end);
        if (list.rule.positional) {
          const int row_bin = own_bin / bins.width, column_bin = own_bin % bins.width;
          if (row_bin < top || row_bin > bottom || column_bin < start || column_bin > end) continue;
          top = bottom = row_bin, start = end = column_bin;
        }
        const int64_t own = k * bins.roi_step + source * bins.channel_step;
        for (int p = top; p <= bottom; ++p) {
          const A row_weight = y.weight(p, row);
          if (row_weight == A(0)) continue;
          for (int q = start; q <= end; ++q) {
            const int64_t bin = own + p * bins.row_step + q * bins.column_step;
            const A weight = row_weight * x.weight(q, column);
            if (weight == A(0)) continue;
            const Pack<A, N> pack = *reinterpret_cast<const Pack<A, N>*>(static_cast<const A*>(bins.data) + bin);
#pragma unroll
            for (int j = 0; j < N; ++j) sums[j] = multiply_add(weight, pack.value[j], sums[j]);
          }
        }
      }
      __syncthreads();  // the lists are written again
    }
    if (mine) {
      Pack<A, N> pack;
#pragma unroll
      for (int j = 0; j < N; ++j) pack.value[j] = sums[j];
      *reinterpret_cast<Pack<A, N>*>(static_cast<A*>(map.data) + image * map.image_step + channel * map.channel_step +
                                     row * map.row_step + column * map.column_step) = pack;
    }
  }
}

// N as for roi_average. `reaches` has room for a RoiReach for each RoI. Maps have `channels` channels.
template <class A, class Axis, int N>
void roi_gather(const RoiList<A>& list, const RoiMaps& maps, int channels, const RoiBins& bins, RoiReach<Axis>* reaches,
                cudaStream_t stream) {
  if (bins.k > 0)
    launch(roi_reach_kernel<A, Axis>, grid_of(blocks_for(bins.k)), dim3(kThreads), stream, list, maps, bins, reaches);
  for (int which = 0; which < maps.count; ++which) {
    const RoiMap& map = maps.map[which];
    const int groups = (channels + N - 1) / N;
    if (groups == 0 || map.images == 0 || map.height == 0 || map.width == 0) continue;
    const GatherTiling tiling(groups, map.width);
    const int64_t inner = tiling.block_shape.x;
    launch(roi_gather_kernel<A, Axis, N>,
           grid_of(map.images * map.height * tiling.row_blocks, (groups + inner - 1) / inner), tiling.block_shape, stream,
           list, maps, which, channels, bins, reaches, tiling);
  }
}

}  // namespace podium::cuda
