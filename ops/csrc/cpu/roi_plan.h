// Where RoIs take their pixels: the taps that the kernels of roi_align_kernels.h apply. For bindings, without torch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "roi_types.h"

namespace podium {

// A vector without initialisation and, after `ensure`, without a check at each push: a plan is thousands of them.
template <class T>
class Stack {
 public:
  int64_t size() const { return size_; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](int64_t index) { return data_[index]; }
  const T& operator[](int64_t index) const { return data_[index]; }
  void clear() { size_ = 0; }
  void ensure(int64_t more) {
    if (size_ + more <= room_) return;
    room_ = std::max(2 * room_, size_ + more + 256);
    auto larger = std::make_unique_for_overwrite<T[]>(room_);
    std::copy_n(data_.get(), size_, larger.get());
    data_ = std::move(larger);
  }
  void push(const T& value) { data_[size_++] = value; }  // where there is room

 private:
  std::unique_ptr<T[]> data_;
  int64_t size_ = 0, room_ = 0;
};

template <class T>
struct Plan {
  std::vector<RoiTaps> rois;
  Stack<int64_t> ends;
  Stack<Tap<T>> taps;
  int64_t most_columns = 0;  // of any RoI
  void clear() { rois.clear(), ends.clear(), taps.clear(), most_columns = 0; }
};

// Adds `weight` at a position to the taps of a bin, those from `from` on. Positions mostly ascend, so that a repeated
// one is among the last.
template <class T>
inline void add_tap(Stack<Tap<T>>& taps, int64_t from, int64_t at, T weight) {
  if (weight == T(0)) return;
  const int64_t stop = std::max(from, taps.size() - 3);
  for (int64_t i = taps.size() - 1; i >= stop; --i)
    if (taps[i].at == at) {
      taps[i].weight += weight;
      return;
    }
  taps.push({at, weight});
}

// An axis of a RoI in RoIAlign: bin p averages `samples` points spread over [start + p * bin, start + (p + 1) * bin).
template <class T>
struct SampledAxis {
  T start, bin;
  int64_t samples;
  int64_t size;  // of the image

  SampledAxis(T low, T high, bool at_least_one, int64_t pooled, int64_t sampling_ratio, int64_t size)
      : start(low), size(size) {
    T extent = high - low;
    if (at_least_one) extent = std::max(extent, T(1));
    bin = extent / T(pooled);
    const double wanted = sampling_ratio > 0 ? double(sampling_ratio) : std::ceil(double(bin));
    samples = wanted > 0 ? int64_t(std::min(wanted, 9e15)) : 0;
  }

  void bin_taps(int64_t p, Stack<Tap<T>>& taps) const {
    if (samples == 0 || size == 0) return;
    int64_t first = 0, last = samples;
    const T begin = start + T(p) * bin;
    // A sample further out than a pixel counts as 0. A huge RoI has far too many of those to visit: only the samples
    // about the image are, and two more on either side for rounding. (A bin that is well inside needs no such search.)
    if (!(begin >= T(-1) && begin + bin <= T(size) && bin >= T(0))) {
      const double origin = double(start) + double(p) * double(bin), step = double(bin) / double(samples);
      if (!std::isfinite(origin) || !std::isfinite(step)) return;
      if (step != 0) {
        const double one = (-1 - origin) / step, other = (double(size) - origin) / step;
        first = int64_t(std::clamp(std::floor(std::min(one, other)) - 3, 0.0, double(samples)));
        last = int64_t(std::clamp(std::ceil(std::max(one, other)) + 3, 0.0, double(samples)));
      }
    }
    const int64_t from = taps.size();
    const T share = T(1) / T(samples);
    for (int64_t i = first; i < last; ++i) {
      const T at = start + T(p) * bin + (T(i) + T(.5)) * bin / T(samples);
      if (!(at >= T(-1) && at <= T(size))) continue;
      const T inside = std::max(at, T(0));
      const int64_t low = int64_t(inside);
      taps.ensure(2);
      if (low >= size - 1) {
        add_tap(taps, from, size - 1, share);
      } else {
        const T high_weight = inside - T(low);
        add_tap(taps, from, low, (T(1) - high_weight) * share);
        add_tap(taps, from, low + 1, high_weight * share);
      }
    }
  }
};

// Whole pixels of a RoI whose corners were rounded: bin p is [floor(p * bin), ceil((p + 1) * bin)), cut to the image.
template <class T>
struct PixelAxis {
  double start;
  T bin;
  int64_t size;

  // `inclusive`: the last pixel belongs to the RoI.
  PixelAxis(T low, T high, bool inclusive, int64_t pooled, int64_t size) : start(std::round(low)), size(size) {
    const T extent = T(std::round(high) - start) + (inclusive ? T(1) : T(0));
    bin = std::max(extent, T(1)) / T(pooled);
  }

  void bounds(int64_t p, int64_t& first, int64_t& last) const {
    const T low = T(p) * bin, high = T(p + 1) * bin;
    if (high < T(1 << 24)) {  // floor and ceil by themselves are calls of a library
      const int64_t down = int64_t(low), up = int64_t(high);
      first = cut(start + double(down));
      last = std::max(cut(start + double(up + (T(up) < high))), first);
    } else {
      first = cut(start + std::floor(low));
      last = std::max(cut(start + std::ceil(high)), first);
    }
  }

  // NaN and infinity land in the image, where they do no harm.
  int64_t cut(double at) const { return at > 0 ? int64_t(std::min(at, double(size))) : 0; }

  void bin_taps(int64_t p, Stack<Tap<T>>& taps) const {
    int64_t first, last;
    bounds(p, first, last);
    taps.ensure(last - first);
    for (int64_t i = first; i < last; ++i) taps.push({i, T(1) / T(last - first)});
  }
};

// Adds a RoI that takes nothing, so that its bins are 0.
template <class T>
void add_nothing(Plan<T>& plan, int64_t pooled_height) {
  RoiTaps roi{};
  roi.row_ends = plan.ends.size();
  plan.ends.ensure(pooled_height + 1);
  for (int64_t p = 0; p <= pooled_height; ++p) plan.ends.push(plan.taps.size());
  plan.rois.push_back(roi);
}

template <class T, class Axis>
void add_roi(Plan<T>& plan, const Axis& y, const Axis& x, int64_t pooled_height, int64_t pooled_width) {
  RoiTaps roi{};
  auto& [rois, ends, taps, most_columns] = plan;
  roi.row_ends = ends.size();
  roi.window = {INT64_MAX, INT64_MAX, 0, 0};
  ends.ensure(pooled_height + 1);
  for (int64_t p = 0; p <= pooled_height; ++p) {
    ends.push(taps.size());
    if (p < pooled_height) y.bin_taps(p, taps);
  }
  for (int64_t i = ends[roi.row_ends]; i < taps.size(); ++i) {
    roi.window.y0 = std::min(roi.window.y0, taps[i].at);
    roi.window.y1 = std::max(roi.window.y1, taps[i].at + 1);
  }
  thread_local Stack<Tap<T>> found;
  thread_local Stack<int64_t> starts;
  found.clear(), starts.clear();
  starts.ensure(pooled_width + 1);
  for (int64_t q = 0; q < pooled_width; ++q) {
    starts.push(found.size());
    x.bin_taps(q, found);
    roi.width = std::max(roi.width, found.size() - starts[q]);
  }
  starts.push(found.size());
  roi.columns = ends.size();
  ends.ensure(found.size());
  for (int64_t i = 0; i < found.size(); ++i) {
    // As with taps: a repeated column is among the last; if it is not, it is merely reduced twice.
    const int64_t column = found[i].at, stop = std::max(roi.columns, ends.size() - 3);
    int64_t at = ends.size() - 1;
    while (at >= stop && ends[at] != column) --at;
    if (at < stop) {
      at = ends.size();
      ends.push(column);
      roi.window.x0 = std::min(roi.window.x0, column);
      roi.window.x1 = std::max(roi.window.x1, column + 1);
    }
    found[i].at = at - roi.columns;
  }
  roi.count = ends.size() - roi.columns;
  roi.column_taps = taps.size();
  taps.ensure(pooled_width * roi.width);
  for (int64_t q = 0; q < pooled_width; ++q) {
    for (int64_t i = starts[q]; i < starts[q + 1]; ++i) taps.push(found[i]);
    for (int64_t i = starts[q + 1] - starts[q]; i < roi.width; ++i) taps.push({roi.count, T(0)});
  }
  const bool nothing = roi.window.y0 >= roi.window.y1 || roi.window.x0 >= roi.window.x1;
  if (nothing) roi.count = roi.width = 0, roi.window = {};
  most_columns = std::max(most_columns, roi.count);
  rois.push_back(roi);
}

}  // namespace podium
