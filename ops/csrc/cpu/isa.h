// One source, several instruction sets: every kernel file is compiled once for each level, into a namespace of the
// level's name, and the best level of the running CPU is chosen when the library is loaded.
#pragma once

#include <cstdlib>
#include <cstring>

// PODIUM_ISA is set by the build to baseline, avx2 or avx512 for kernel files, and is unset for bindings.
#if defined(__x86_64__)
#define PODIUM_EACH_ISA(api) \
  namespace baseline {       \
  api                        \
  }                          \
  namespace avx2 {           \
  api                        \
  }                          \
  namespace avx512 {         \
  api                        \
  }
#define PODIUM_SELECT(function)                                        \
  (podium::cpu_level() == 2   ? podium::avx512::function               \
   : podium::cpu_level() == 1 ? podium::avx2::function                 \
                              : podium::baseline::function)
#else
#define PODIUM_EACH_ISA(api) \
  namespace baseline {       \
  api                        \
  }
#define PODIUM_SELECT(function) (podium::baseline::function)
#endif

namespace podium {

// 0 baseline, 1 AVX2 with FMA, 2 AVX-512 (F, BW, DQ, VL). PODIUM_CPU=baseline|avx2|avx512 lowers it, for tests.
inline int cpu_level() {
  static const int level = [] {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int best = 0;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = 1;
    if (best == 1 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      best = 2;
    const char* wanted = std::getenv("PODIUM_CPU");
    if (wanted && !std::strcmp(wanted, "baseline")) return 0;
    if (wanted && !std::strcmp(wanted, "avx2") && best > 1) return 1;
    return best;
#else
    return 0;
#endif
  }();
  return level;
}

}  // namespace podium
