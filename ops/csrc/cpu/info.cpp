#include "isa.h"

// Which instruction set the kernels use in this process; read by ops.doctor through ctypes.
extern "C" __attribute__((visibility("default"))) int podium_cpu_level() { return podium::cpu_level(); }
