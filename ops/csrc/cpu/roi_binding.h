// What the bindings of the RoI operators share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "../binding.h"
#include "roi_types.h"

namespace podium {

inline void check_roi(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

// Whether a (n, c, h, w) tensor is dense with its channels innermost, and not in the usual order as well.
inline bool channels_last(const Tensor& tensor) {
  if (tensor.numel() == 0 || tensor.is_contiguous()) return false;
  int64_t expected = 1;
  for (const int64_t d : {1, 3, 2, 0}) {
    if (tensor.size(d) != 1 && tensor.stride(d) != expected) return false;
    expected *= tensor.size(d);
  }
  return true;
}

// Asks for large pages under fresh memory that is about to be written whole: faulting in small ones can take longer
// than the pooling. Only for sizes that malloc gives back to the system, to take them anew the next time. Advice, so
// failure is no matter.
inline void advise_large_pages(const Tensor& tensor) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = uintptr_t(1) << 21;
  const uintptr_t data = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
  const uintptr_t begin = (data + page - 1) & ~(page - 1);
  const uintptr_t end = (data + uintptr_t(tensor.numel()) * tensor.element_size()) & ~(page - 1);
  if (end > begin && end - begin > uintptr_t(16) << 20)
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

// An uninitialised (n, c, h, w) tensor in either order.
inline Tensor new_planes(const Tensor& like, int64_t n, int64_t c, int64_t h, int64_t w, ScalarType type, bool last) {
  const Tensor made = last ? new_tensor(like, {n, h, w, c}, type) : new_tensor(like, {n, c, h, w}, type);
  advise_large_pages(made);
  if (!last) return made;
  return torch::stable::transpose(torch::stable::transpose(made, 1, 3), 2, 3);
}

// `tensor` as `type`, in its own memory order.
inline Tensor typed(const Tensor& tensor, ScalarType type) {
  return tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type);
}

// Channels first, first + step, ... of image n.
template <class T, class U>
Planes<T> planes_of(U* data, const Tensor& tensor, int64_t n, int64_t first, int64_t step, int64_t channels) {
  return {static_cast<T*>(data) + n * tensor.stride(0) + first * tensor.stride(1), channels, step * tensor.stride(1),
          tensor.stride(2), tensor.stride(3)};
}

struct FreeAligned {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t(64)); }
};

// Uninitialised memory at a multiple of 64 bytes.
template <class T>
std::unique_ptr<T, FreeAligned> aligned_memory(int64_t count) {
  return std::unique_ptr<T, FreeAligned>(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64))));
}

// The image of a RoI, or -1 where it names none (out of range or NaN).
template <class T>
int64_t image_of(const T* roi, int64_t images) {
  return roi[0] > T(-1) && roi[0] < T(images) ? int64_t(roi[0]) : -1;
}

// Whether all RoIs (K, 5), dense, are finite and name an image.
template <class T>
bool rois_valid(const Tensor& rois, int64_t images) {
  const T* values = read<T>(rois);
  const int64_t count = rois.size(0);
  int64_t bad = 0;
  for (int64_t k = 0; k < 5 * count; ++k) bad += !(std::abs(values[k]) <= std::numeric_limits<T>::max());
  for (int64_t k = 0; k < count; ++k) bad += image_of(values + 5 * k, images) < 0;
  return bad == 0;
}

// Checks the arguments of an operator whose Python wrapper did not; the RoIs, dense and in the type to compute in.
inline Tensor checked_rois(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                           int64_t pooled_width, int64_t sampling_ratio) {
  require(input.is_cpu() && rois.is_cpu() && is_float(input) && is_float(rois));
  require(input.dim() == 4 && rois.dim() == 2 && rois.size(1) == 5);
  require(spatial_scale >= 1e-9 && spatial_scale <= 1e9 && sampling_ratio <= 4096);
  require(pooled_height >= 1 && pooled_height <= 1 << 15 && pooled_width >= 1 && pooled_width <= 1 << 15);
  const ScalarType type = compute_type(input);
  Tensor source = dense(rois, type);
  require(type == ScalarType::Double ? rois_valid<double>(source, input.size(0))
                                     : rois_valid<float>(source, input.size(0)));
  return source;
}

}  // namespace podium
