// Runs the CUDA kernels on the CPU, one thread block after the other, with a fiber for each thread, so that their logic is
// tested where there is no GPU: same sources, compiled as C++ with this in place of CUDA's header. It finds wrong indices,
// wrong results and barriers that not all threads reach; not the races, speed and rounding of a device.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one at a time
#define __launch_bounds__(...)

using std::min;

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0 };
enum cudaMemcpyKind { cudaMemcpyDeviceToHost = 2 };
inline const char* cudaGetErrorName(cudaError_t) { return "none"; }
inline const char* cudaGetErrorString(cudaError_t) { return "none"; }
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t) {
  std::memset(to, value, size);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, size);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

namespace emulation {

struct Barrier {
  int expected = 0, arrived = 0;
  unsigned turn = 0;
  void release_if_complete() {
    if (expected > 0 && arrived == expected) arrived = 0, ++turn;
  }
};

struct Warp {
  Barrier barrier;
  uint64_t slots[32];
  bool exited = false;  // a lane has ended
};

struct Fiber {
  ucontext_t context;  // to start it once; from then on jumps, which need no system call
  jmp_buf jump;
  bool started = false;
  std::unique_ptr<char[]> stack;
  dim3 place;
  int number = 0;
  bool done = true;
};

inline dim3 thread_index_now, block_index_now, block_shape_now, grid_shape_now;
inline std::vector<std::unique_ptr<Fiber>> fibers;
inline std::vector<Warp> warps;
inline Barrier block_barrier;
inline Fiber* running = nullptr;
inline ucontext_t start_context;
inline jmp_buf scheduler;
inline void (*body)(void*) = nullptr;
inline void* arguments = nullptr;
inline bool progressed = false;
inline constexpr size_t kStack = 64 * 1024;

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "CUDA emulation: %s\n", what);
  std::abort();
}

inline Warp& own_warp() { return warps[running->number / 32]; }
inline int own_lane() { return running->number % 32; }

__attribute__((noinline)) inline void yield() {
  if (_setjmp(running->jump) == 0) _longjmp(scheduler, 1);
}

__attribute__((noinline)) inline void resume() {
  if (_setjmp(scheduler) != 0) return;
  if (running->started) _longjmp(running->jump, 1);
  running->started = true;
  swapcontext(&start_context, &running->context);  // comes back by a jump to the scheduler
}

inline void wait(Barrier& barrier) {
  const unsigned turn = barrier.turn;
  ++barrier.arrived;
  progressed = true;
  barrier.release_if_complete();
  while (barrier.turn == turn) yield();
}

// A fiber's life: one thread after another.
inline void start() {
  for (;;) {
    body(arguments);
    running->done = true;
    progressed = true;
    Warp& warp = own_warp();
    warp.exited = true;
    --warp.barrier.expected, --block_barrier.expected;
    warp.barrier.release_if_complete(), block_barrier.release_if_complete();
    yield();
  }
}

inline void run_block(int count) {
  while (int(fibers.size()) < count) {
    fibers.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *fibers.back();
    fiber.stack.reset(new char[kStack]);
    getcontext(&fiber.context);
    fiber.context.uc_stack = {fiber.stack.get(), 0, kStack};
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, start, 0);
  }
  warps.assign((count + 31) / 32, Warp());
  block_barrier = Barrier();
  block_barrier.expected = count;
  for (int i = 0; i < count; ++i) {
    Fiber& fiber = *fibers[i];
    fiber.number = i, fiber.done = false;
    fiber.place = dim3(i % block_shape_now.x, i / block_shape_now.x % block_shape_now.y,
                       i / block_shape_now.x / block_shape_now.y);
    ++warps[i / 32].barrier.expected;
  }
  // Some order of the threads, so that one that only works in theirs is found: EMULATION_ORDER=reverse.
  static const bool reverse = std::getenv("EMULATION_ORDER") && !std::strcmp(std::getenv("EMULATION_ORDER"), "reverse");
  for (int left = count; left > 0;) {
    progressed = false;
    for (int i = 0; i < count; ++i) {
      Fiber& fiber = *fibers[reverse ? count - 1 - i : i];
      if (fiber.done) continue;
      running = &fiber;
      thread_index_now = fiber.place;
      resume();
      left -= fiber.done;
    }
    if (!progressed) fail("threads wait at a barrier that others do not reach");
  }
}

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, A... given) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) fail("bad grid");
  const int count = int(block.x * block.y * block.z);
  if (count == 0 || count > 1024) fail("bad block");
  auto call = [&] { kernel(static_cast<P>(given)...); };
  body = [](void* closure) { (*static_cast<decltype(call)*>(closure))(); };
  arguments = &call;
  grid_shape_now = grid, block_shape_now = block;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        block_index_now = dim3(x, y, z);
        run_block(count);
      }
  arguments = nullptr;
}

template <class T>
uint64_t as_bits(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Everyone's value, to f(slots).
template <class T, class F>
auto exchange(unsigned mask, T value, F f) {
  Warp& warp = own_warp();
  if (mask != 0xffffffffu || warp.exited || warp.barrier.expected != 32) fail("warp function without the whole warp");
  warp.slots[own_lane()] = as_bits(value);
  wait(warp.barrier);
  const auto result = f(warp.slots);
  wait(warp.barrier);
  return result;
}

}  // namespace emulation

#define threadIdx (emulation::thread_index_now)
#define blockIdx (emulation::block_index_now)
#define blockDim (emulation::block_shape_now)
#define gridDim (emulation::grid_shape_now)

inline void __syncthreads() { emulation::wait(emulation::block_barrier); }
inline void __syncwarp() { emulation::wait(emulation::own_warp().barrier); }

inline unsigned __ballot_sync(unsigned mask, bool value) {
  return emulation::exchange(mask, value, [](const uint64_t* slots) {
    unsigned bits = 0;
    for (int i = 0; i < 32; ++i) bits |= unsigned(slots[i] != 0) << i;
    return bits;
  });
}
inline bool __any_sync(unsigned mask, bool value) { return __ballot_sync(mask, value) != 0; }
template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return emulation::exchange(mask, value, [=](const uint64_t* slots) { return emulation::from_bits<T>(slots[lane % 32]); });
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int step) {
  const int lane = emulation::own_lane();
  return __shfl_sync(mask, value, lane >= step ? lane - step : lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int step) {
  const int lane = emulation::own_lane();
  return __shfl_sync(mask, value, lane + step < 32 ? lane + step : lane);
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  return emulation::exchange(mask, value, [=](const uint64_t* slots) {
    unsigned bits = 0;
    for (int i = 0; i < 32; ++i) bits |= unsigned(slots[i] == emulation::as_bits(value)) << i;
    return bits;
  });
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline int __clzll(unsigned long long value) { return value ? __builtin_clzll(value) : 64; }
inline int __ffs(int value) { return __builtin_ffs(value); }
template <class T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  const T before = *at;
  *at = before + value;
  return before;
}
template <class T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  const T before = *at;
  *at = before | value;
  return before;
}
