// Where RoIs take their pixels: the taps that the kernels of roi_align_kernels.h apply. For bindings, without torch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "roi_types.h"

namespace podium {

template <class T>
struct Plan {
  std::vector<RoiTaps> rois;
  std::vector<int64_t> ends;
  std::vector<Tap<T>> taps;
  int64_t most_columns = 0;  // of any RoI
  void clear() { rois.clear(), ends.clear(), taps.clear(), most_columns = 0; }
};

// Adds `weight` at a position to the taps of a bin, those from `from` on. Positions mostly ascend, so that a repeated
// one is among the last.
template <class T>
void add_tap(std::vector<Tap<T>>& taps, size_t from, int64_t at, T weight) {
  if (weight == T(0)) return;
  const size_t stop = taps.size() > from + 3 ? taps.size() - 3 : from;
  for (size_t i = taps.size(); i > stop; --i)
    if (taps[i - 1].at == at) {
      taps[i - 1].weight += weight;
      return;
    }
  taps.push_back({at, weight});
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

  void bin_taps(int64_t p, std::vector<Tap<T>>& taps) const {
    const double origin = double(start) + double(p) * double(bin), step = double(bin) / double(samples);
    if (samples == 0 || size == 0 || !std::isfinite(origin) || !std::isfinite(step)) return;
    // A sample further out than a pixel counts as 0. A huge RoI has far too many of those to visit: only the samples
    // about the image are, and two more on either side for rounding.
    double first = 0, last = double(samples);
    if (step != 0) {
      const double one = (-1 - origin) / step, other = (double(size) - origin) / step;
      first = std::clamp(std::floor(std::min(one, other)) - 3, 0.0, last);
      last = std::clamp(std::ceil(std::max(one, other)) + 3, 0.0, last);
    }
    const size_t from = taps.size();
    const T share = T(1) / T(samples);
    for (int64_t i = int64_t(first); i < int64_t(last); ++i) {
      T at = start + T(p) * bin + (T(i) + T(.5)) * bin / T(samples);
      if (!(at >= T(-1) && at <= T(size))) continue;
      at = std::max(at, T(0));
      const int64_t low = int64_t(at);
      if (low >= size - 1) {
        add_tap(taps, from, size - 1, share);
      } else {
        const T high_weight = at - T(low);
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
    first = cut(start + std::floor(T(p) * bin));
    last = std::max(cut(start + std::ceil(T(p + 1) * bin)), first);
  }

  // NaN and infinity land in the image, where they do no harm.
  int64_t cut(double at) const { return at > 0 ? int64_t(std::min(at, double(size))) : 0; }

  void bin_taps(int64_t p, std::vector<Tap<T>>& taps) const {
    int64_t first, last;
    bounds(p, first, last);
    for (int64_t i = first; i < last; ++i) taps.push_back({i, T(1) / T(last - first)});
  }
};

// Adds a RoI that takes nothing, so that its bins are 0.
template <class T>
void add_nothing(Plan<T>& plan, int64_t pooled_height) {
  RoiTaps roi{};
  roi.row_ends = int64_t(plan.ends.size());
  plan.ends.insert(plan.ends.end(), pooled_height + 1, int64_t(plan.taps.size()));
  plan.rois.push_back(roi);
}

template <class T, class Axis>
void add_roi(Plan<T>& plan, const Axis& y, const Axis& x, int64_t pooled_height, int64_t pooled_width) {
  RoiTaps roi{};
  roi.row_ends = int64_t(plan.ends.size());
  roi.window = {INT64_MAX, INT64_MAX, 0, 0};
  for (int64_t p = 0; p <= pooled_height; ++p) {
    plan.ends.push_back(int64_t(plan.taps.size()));
    if (p < pooled_height) y.bin_taps(p, plan.taps);
  }
  for (size_t i = plan.ends[roi.row_ends]; i < plan.taps.size(); ++i) {
    roi.window.y0 = std::min(roi.window.y0, plan.taps[i].at);
    roi.window.y1 = std::max(roi.window.y1, plan.taps[i].at + 1);
  }
  thread_local std::vector<Tap<T>> found;
  thread_local std::vector<size_t> starts;
  found.clear(), starts.clear();
  for (int64_t q = 0; q < pooled_width; ++q) {
    starts.push_back(found.size());
    x.bin_taps(q, found);
    roi.width = std::max(roi.width, int64_t(found.size() - starts.back()));
  }
  starts.push_back(found.size());
  roi.columns = int64_t(plan.ends.size());
  roi.column_taps = int64_t(plan.taps.size());
  for (const Tap<T>& tap : found) {
    // As with taps: a repeated column is among the last; if it is not, it is merely reduced twice.
    auto begin = plan.ends.begin() + roi.columns;
    if (std::find(std::max(begin, plan.ends.end() - std::min<int64_t>(3, plan.ends.end() - begin)), plan.ends.end(),
                  tap.at) == plan.ends.end()) {
      plan.ends.push_back(tap.at);
      roi.window.x0 = std::min(roi.window.x0, tap.at);
      roi.window.x1 = std::max(roi.window.x1, tap.at + 1);
    }
  }
  roi.count = int64_t(plan.ends.size()) - roi.columns;
  const int64_t* columns = plan.ends.data() + roi.columns;
  int64_t slot = 0;
  for (int64_t q = 0; q < pooled_width; ++q) {
    for (size_t i = starts[q]; i < starts[q + 1]; ++i) {
      // The same walk as above finds the column again: a few steps back, or one on.
      slot = std::min(slot + 1, roi.count - 1);
      while (columns[slot] != found[i].at) slot = slot > 0 ? slot - 1 : roi.count - 1;
      plan.taps.push_back({slot, found[i].weight});
    }
    plan.taps.resize(roi.column_taps + (q + 1) * roi.width, Tap<T>{roi.count, T(0)});
  }
  const bool nothing = roi.window.y0 >= roi.window.y1 || roi.window.x0 >= roi.window.x1;
  if (nothing) roi.count = roi.width = 0, roi.window = {};
  plan.most_columns = std::max(plan.most_columns, roi.count);
  plan.rois.push_back(roi);
}

}  // namespace podium
