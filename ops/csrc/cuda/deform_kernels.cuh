// Deformable convolution (arXiv 1703.06211, with a mask 1811.11168), as columns for a matrix product. The arithmetic is
// that of the CPU's deform_kernels.cpp: a thread works out where a tap of an output pixel looks, once for many channels.
#pragma once

#include <cmath>

#include "launch.cuh"

namespace podium::cuda {

constexpr int kDeformTogether = 32;  // channels of a thread, where threads may share a group's

// As in the CPU's deform_kernels.h.
struct DeformSizes {
  int64_t images, channels, height, width;
  int64_t kernel_height, kernel_width;
  int64_t stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
  int64_t groups, out_height, out_width;
  __host__ __device__ int64_t taps() const { return kernel_height * kernel_width; }
  __host__ __device__ int64_t places() const { return groups * taps(); }
  __host__ __device__ int64_t pixels() const { return out_height * out_width; }
  __host__ __device__ int64_t group_channels() const { return channels / groups; }
  __host__ __device__ int64_t blocks() const { return (group_channels() + kDeformTogether - 1) / kDeformTogether; }
};

// Dense: input (images, channels, height, width), offset (images, places, 2, pixels) as y and x, mask (images, places,
// pixels) or null.
template <class T>
struct DeformInputs {
  DeformSizes size;
  const T *input, *offset, *mask;
};

// The four neighbours of a sample in a plane: (y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1), -1 for one outside, which
// counts as 0; how far the sample is from the first; and the mask's factor.
template <class T>
struct DeformSample {
  int corner[4];
  T down, right, scale;

  __device__ DeformSample(const DeformInputs<T>& from, int64_t n, int64_t at, int64_t p) {
    const DeformSizes& size = from.size;
    const int64_t tap = at % size.taps(), pixels = size.pixels(), place = n * size.places() + at;
    const int64_t row = p / size.out_width * size.stride_y + tap / size.kernel_width * size.dilation_y - size.padding_y;
    const int64_t column = p % size.out_width * size.stride_x + tap % size.kernel_width * size.dilation_x - size.padding_x;
    const T y = T(row) + from.offset[2 * place * pixels + p], x = T(column) + from.offset[(2 * place + 1) * pixels + p];
    const bool inside = y > T(-1) && y < T(size.height) && x > T(-1) && x < T(size.width);  // false for NaN, too
    const T top = inside ? floor(y) : T(0), left = inside ? floor(x) : T(0);
    const int i = int(top), j = int(left), width = int(size.width), first = i * width + j;
    const bool upper = inside && i >= 0, lower = inside && i + 1 < int(size.height), near = j >= 0, far = j + 1 < width;
    corner[0] = upper && near ? first : -1;
    corner[1] = upper && far ? first + 1 : -1;
    corner[2] = lower && near ? first + width : -1;
    corner[3] = lower && far ? first + width + 1 : -1;
    down = inside ? y - top : T(0);
    right = inside ? x - left : T(0);
    scale = from.mask ? from.mask[place * pixels + p] : T(1);
  }

  __device__ T read(const T* plane, int which) const { return corner[which] < 0 ? T(0) : plane[corner[which]]; }

  // Calls f(place, weight) for the neighbours that are there.
  template <class F>
  __device__ void visit(F f) const {
    const T weight[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right};
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (corner[i] >= 0) f(corner[i], weight[i]);
  }
};

// A thread's output pixel, place and channels: pixels along x, places along y, images and blocks of channels along z.
template <class F>
__device__ void for_deform_tasks(const DeformSizes& size, F f) {
  const int64_t p = thread_index(), own = size.group_channels(), blocks = size.blocks();
  if (p >= size.pixels()) return;
  for (int64_t at = blockIdx.y; at < size.places(); at += gridDim.y)
    for (int64_t task = blockIdx.z; task < size.images * blocks; task += gridDim.z) {
      const int64_t end = (at / size.taps() + 1) * own, first = end - own + task % blocks * kDeformTogether;
      f(task / blocks, at, p, first, first + kDeformTogether < end ? first + kDeformTogether : end);
    }
}

template <class T>
__global__ void deform_columns_kernel(DeformInputs<T> from, T* columns) {
  const DeformSizes& size = from.size;
  for_deform_tasks(size, [&](int64_t n, int64_t at, int64_t p, int64_t first, int64_t last) {
    const DeformSample<T> sample(from, n, at, p);
    for (int64_t c = n * size.channels + first; c < n * size.channels + last; ++c) {
      const T* plane = from.input + c * size.height * size.width;
      const T above = (1 - sample.right) * sample.read(plane, 0) + sample.right * sample.read(plane, 1);
      const T below = (1 - sample.right) * sample.read(plane, 2) + sample.right * sample.read(plane, 3);
      columns[(c * size.taps() + at % size.taps()) * size.pixels() + p] =
          sample.scale * ((1 - sample.down) * above + sample.down * below);
    }
  });
}

// The gradients of offset and mask: a thread sums over its group's channels, so that they come out the same each time.
template <class T>
__global__ void deform_coordinates_kernel(DeformInputs<T> from, const T* grad, T* grad_offset, T* grad_mask) {
  const DeformSizes& size = from.size;
  const int64_t p = thread_index(), pixels = size.pixels(), own = size.group_channels();
  if (p >= pixels) return;
  for (int64_t at = blockIdx.y; at < size.places(); at += gridDim.y)
    for (int64_t n = blockIdx.z; n < size.images; n += gridDim.z) {
      const DeformSample<T> sample(from, n, at, p);
      const T down = sample.down, right = sample.right;
      T by_y = 0, by_x = 0, by_mask = 0;
      const int64_t first = n * size.channels + at / size.taps() * own;
      for (int64_t c = first; c < first + own; ++c) {
        const T* plane = from.input + c * size.height * size.width;
        const T of_column = grad[(c * size.taps() + at % size.taps()) * pixels + p];
        const T v0 = sample.read(plane, 0), v1 = sample.read(plane, 1);
        const T v2 = sample.read(plane, 2), v3 = sample.read(plane, 3);
        const T above = (1 - right) * v0 + right * v1, below = (1 - right) * v2 + right * v3;
        by_y += of_column * (below - above);
        by_x += of_column * ((1 - down) * (v1 - v0) + down * (v3 - v2));
        by_mask += of_column * ((1 - down) * above + down * below);
      }
      const int64_t place = n * size.places() + at;
      grad_offset[2 * place * pixels + p] = sample.scale * by_y;
      grad_offset[(2 * place + 1) * pixels + p] = sample.scale * by_x;
      if (grad_mask) grad_mask[place * pixels + p] = by_mask;
    }
}

// Adds to the gradient of the input, in whatever order threads come.
template <class T>
__global__ void deform_image_kernel(DeformInputs<T> from, const T* grad, T* image) {
  const DeformSizes& size = from.size;
  for_deform_tasks(size, [&](int64_t n, int64_t at, int64_t p, int64_t first, int64_t last) {
    const DeformSample<T> sample(from, n, at, p);
    for (int64_t c = n * size.channels + first; c < n * size.channels + last; ++c) {
      T* plane = image + c * size.height * size.width;
      const T value = sample.scale * grad[(c * size.taps() + at % size.taps()) * size.pixels() + p];
      sample.visit([&](int place, T weight) { atomicAdd(plane + place, weight * value); });
    }
  });
}

// The same in one order, for torch.use_deterministic_algorithms: each plane is one thread's, which makes it slow.
template <class T>
__global__ void deform_image_in_order_kernel(DeformInputs<T> from, const T* grad, T* image) {
  const DeformSizes& size = from.size;
  const int64_t c = thread_index(), n = c / size.channels;
  if (c >= size.images * size.channels) return;
  T* plane = image + c * size.height * size.width;
  for (int64_t tap = 0; tap < size.taps(); ++tap)
    for (int64_t p = 0; p < size.pixels(); ++p) {
      const DeformSample<T> sample(from, n, c % size.channels / size.group_channels() * size.taps() + tap, p);
      const T value = sample.scale * grad[(c * size.taps() + tap) * size.pixels() + p];
      sample.visit([&](int place, T weight) { plane[place] += weight * value; });
    }
}

// columns: (images, channels, taps, pixels), all of it.
template <class T>
void deform_columns(const DeformInputs<T>& from, T* columns, cudaStream_t stream) {
  const DeformSizes& size = from.size;
  const dim3 grid = grid_of(blocks_for(size.pixels()), size.places(), size.images * size.blocks());
  launch(deform_columns_kernel<T>, grid, kThreads, stream, from, columns);
}

// grad as the columns; `image`, which is added to, as the input; grad_mask may be null.
template <class T>
void deform_gradients(const DeformInputs<T>& from, const T* grad, T* image, T* grad_offset, T* grad_mask, bool in_order,
                      cudaStream_t stream) {
  const DeformSizes& size = from.size;
  const int64_t x = blocks_for(size.pixels());
  launch(deform_coordinates_kernel<T>, grid_of(x, size.places(), size.images), kThreads, stream, from, grad, grad_offset,
         grad_mask);
  if (in_order)
    launch(deform_image_in_order_kernel<T>, grid_of(blocks_for(size.images * size.channels, 32)), 32, stream, from, grad,
           image);
  else
    launch(deform_image_kernel<T>, grid_of(x, size.places(), size.images * size.blocks()), kThreads, stream, from, grad,
           image);
}

}  // namespace podium::cuda
