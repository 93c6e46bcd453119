// What the bindings of hard and soft NMS share.
#pragma once

#include <algorithm>
#include <atomic>

#include "../binding.h"
#include "nms_sort.h"

namespace podium {

// float64 where either is.
inline ScalarType common_type(const Tensor& boxes, const Tensor& scores) {
  return compute_type(boxes) == ScalarType::Double ? ScalarType::Double : compute_type(scores);
}

// Calls work(start, length) for every run. They do not depend on one another, so threads take them as they come and the
// result is the same.
template <class Work>
void each_run(const Runs& runs, const Work& work) {
  std::atomic<int64_t> next{0};
  const int64_t count = runs.starts[runs.runs];
  const int64_t workers = std::min<int64_t>({torch::stable::get_num_threads(), runs.runs, 1 + count / 4096});
  torch::stable::parallel_for(0, workers, 1, [&](int64_t, int64_t) {
    for (int64_t run; (run = next.fetch_add(1, std::memory_order_relaxed)) < runs.runs;)
      work(runs.starts[run], int64_t(runs.starts[run + 1]) - runs.starts[run]);
  });
}

}  // namespace podium
