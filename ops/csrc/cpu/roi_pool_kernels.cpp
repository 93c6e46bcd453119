// RoI max pooling (Fast R-CNN, arXiv 1504.08083), a cache line of channels at a time.
#include "roi_pool_kernels.h"

#include <limits>
#include <type_traits>

#include "roi_lanes.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

template <class T>
using Position = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The first maximum in rows [y0, y1) and columns [x0, x1), in reading order. NaN is never one.
template <class T>
inline void max_of_bin(const T* lines, int64_t pitch, const Rect& bin, const Rect& rect, int64_t width, T* value,
                       Position<T>* position) {
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
  store(position, where);
}

// Positions of a row of bins to where they go; `turned` has room for as many.
template <class T>
void unpack_positions(const Position<T>* lines, int64_t bins, const Planes<int64_t>& to, T* turned) {
  constexpr int64_t L = lanes<T>;
  if (to.column != 1) {
    for (int64_t b = 0; b < bins; ++b)
      for (int64_t c = 0; c < to.channels; ++c) to.data[b * to.column + c * to.channel] = lines[b * L + c];
    return;
  }
  // Turned as floating numbers of the same width: they are only moved.
  unpack(reinterpret_cast<const T*>(lines), Rect{0, 0, 1, bins}, Planes<T>{turned, to.channels, bins, 0, 1});
  if (to.channel == bins && streamable(to.data, to.channels * bins * 8)) {
    for (int64_t at = 0; at < to.channels * bins; at += 8) {
      int64_t line[8];
      for (int i = 0; i < 8; ++i) {
        Position<T> position;
        std::memcpy(&position, turned + at + i, sizeof(T));
        line[i] = position;
      }
      stream_line(to.data + at, line);
    }
    return;
  }
  for (int64_t c = 0; c < to.channels; ++c) {
    int64_t* row = to.data + c * to.channel;
    for (int64_t b = 0; b < bins; ++b) {
      Position<T> position;
      std::memcpy(&position, turned + c * bins + b, sizeof(T));
      row[b] = position;
    }
  }
}

template <class T>
void pool(const RoiMaxWork& work, const Planes<const T>& image, const Planes<T>& out, int64_t* positions,
          int64_t roi_step, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t bins = work.pooled_height * work.pooled_width;
  T* tile = scratch;
  auto* where = reinterpret_cast<Position<T>*>(tile + bins * L);
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
    unpack_positions<T>(where, bins, Planes<int64_t>{positions + at, out.channels, out.channel, out.row, out.column},
                        turned);
  }
  finish_streaming();
}

}  // namespace

void roi_max_f32(const RoiMaxWork& work, const Planes<const float>& image, const Planes<float>& out, int64_t* positions,
                 int64_t roi_step, float* scratch) {
  pool(work, image, out, positions, roi_step, scratch);
}

void roi_max_f64(const RoiMaxWork& work, const Planes<const double>& image, const Planes<double>& out,
                 int64_t* positions, int64_t roi_step, double* scratch) {
  pool(work, image, out, positions, roi_step, scratch);
}

}  // namespace PODIUM_ISA
}  // namespace podium
