// Between the parts of the runtime: fibres and memory here, races there.
#pragma once

#include <cstddef>

namespace emulated {

[[noreturn]] void stop(const char* format, ...) __attribute__((format(printf, 1, 2)));
bool is_device_memory(const void* pointer);
std::size_t bytes_behind(const void* pointer);
unsigned thread_number();

#ifdef EMULATED_RACES
void begin_kernel(const char* name);
void begin_block(unsigned number, const void* shared, std::size_t bytes);
void end_kernel();
#else
inline void begin_kernel(const char*) {}
inline void begin_block(unsigned, const void*, std::size_t) {}
inline void end_kernel() {}
#endif

}  // namespace emulated
