// RoI max pooling (Fast R-CNN, arXiv 1504.08083), a cache line of channels at a time.
#include "roi_pool_kernels.h"

#include <limits>
#include <type_traits>

#include "roi_lanes.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

// As wide as the numbers, so that comparing those selects these.
template <class T>
using Position = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The first maximum in rows [y0, y1) and columns [x0, x1), in reading order. NaN is never one.
template <class T>
inline void max_of_bin(const T* lines, int64_t pitch, const Rect& bin, const Rect& rect, int64_t width, T* value,
                       int32_t* position) {
  constexpr int64_t L = lanes<T>;
  typedef typename Line<Position<T>>::Vector Positions;
  Line<T> best = splat(bin.area() > 0 ? -std::numeric_limits<T>::infinity() : T(0));
  Line<Position<T>> where = splat(Position<T>(-1));
  for (int64_t y = bin.y0; y < bin.y1; ++y) {
    const T* row = lines + (y - rect.y0) * pitch;
    for (int64_t x = bin.x0; x < bin.x1; ++x) {
      const Line<T> line = load(row + (x - rect.x0) * L);
      const Positions here = Positions{} + Position<T>(y * width + x);
      for (int i = 0; i < Line<T>::parts; ++i) {
        const auto greater = line.part[i] > best.part[i];
        best.part[i] = greater ? line.part[i] : best.part[i];
        where.part[i] = greater ? here : where.part[i];
      }
    }
  }
  store(value, best);
  typedef int32_t Narrow __attribute__((vector_size(4 * Line<T>::per_part)));
  for (int i = 0; i < Line<T>::parts; ++i)
    *reinterpret_cast<Narrow*>(position + i * Line<T>::per_part) = __builtin_convertvector(where.part[i], Narrow);
}

// For one or two channels, of which a line of channels would be mostly padding.
template <class T>
void pool_few(const RoiMaxWork& work, const Planes<const T>& image, const Planes<T>& out, int32_t* positions,
              int64_t roi_step) {
  for (int64_t i = 0; i < work.count; ++i) {
    const int64_t* rows = work.bounds + work.rois[work.members[i]].bounds;
    const int64_t* columns = rows + 2 * work.pooled_height;
    for (int64_t c = 0; c < image.channels; ++c) {
      const T* plane = image.data + c * image.channel;
      const int64_t to = work.members[i] * roi_step + c * out.channel;
      for (int64_t p = 0; p < work.pooled_height; ++p)
        for (int64_t q = 0; q < work.pooled_width; ++q) {
          const int64_t y0 = rows[2 * p], y1 = rows[2 * p + 1], x0 = columns[2 * q], x1 = columns[2 * q + 1];
          T best = y0 < y1 && x0 < x1 ? -std::numeric_limits<T>::infinity() : T(0);
          int64_t where = -1;
          for (int64_t y = y0; y < y1; ++y) {
            const T* row = plane + y * image.row;
            for (int64_t x = x0; x < x1; ++x) {
              const T value = row[x * image.column];
              if (value > best) best = value, where = y * work.width + x;
            }
          }
          out.data[to + p * out.row + q * out.column] = best;
          positions[to + p * out.row + q * out.column] = int32_t(where);
        }
    }
  }
}

template <class T>
void pool(const RoiMaxWork& work, const Planes<const T>& image, const Planes<T>& out, int32_t* positions,
          int64_t roi_step, T* scratch) {
  constexpr int64_t L = lanes<T>;
  if (image.channels <= 2) return pool_few(work, image, out, positions, roi_step);
  const int64_t bins = work.pooled_height * work.pooled_width;
  T* tile = scratch;
  auto* where = reinterpret_cast<int32_t*>(tile + bins * L);
  T* turned = tile + 2 * bins * L;
  T* lines = turned + bins * L;
  Rect rect = work.rect;
  if (!work.one_by_one) pack(image, rect, lines);
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiBins& roi = work.rois[work.members[i]];
    if (work.one_by_one) pack(image, rect = roi.window, lines);
    const int64_t pitch = (rect.x1 - rect.x0) * L;
    const int64_t* rows = work.bounds + roi.bounds;
    const int64_t* columns = rows + 2 * work.pooled_height;
    for (int64_t p = 0, b = 0; p < work.pooled_height; ++p)
      for (int64_t q = 0; q < work.pooled_width; ++q, ++b)
        max_of_bin(lines, pitch, Rect{rows[2 * p], columns[2 * q], rows[2 * p + 1], columns[2 * q + 1]}, rect,
                   work.width, tile + b * L, where + b * L);
    const int64_t at = work.members[i] * roi_step;
    unpack_row(tile, bins, Planes<T>{out.data + at, out.channels, out.channel, out.row, out.column}, turned);
    unpack_row<int32_t, L>(where, bins,
                           Planes<int32_t>{positions + at, out.channels, out.channel, out.row, out.column},
                           reinterpret_cast<int32_t*>(turned));
  }
  finish_streaming();
}

}  // namespace

void roi_max_f32(const RoiMaxWork& work, const Planes<const float>& image, const Planes<float>& out, int32_t* positions,
                 int64_t roi_step, float* scratch) {
  pool(work, image, out, positions, roi_step, scratch);
}

void roi_max_f64(const RoiMaxWork& work, const Planes<const double>& image, const Planes<double>& out,
                 int32_t* positions, int64_t roi_step, double* scratch) {
  pool(work, image, out, positions, roi_step, scratch);
}

}  // namespace PODIUM_ISA
}  // namespace podium
