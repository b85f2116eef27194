// Stands in for CUDA's own header of this name; see tests/cuda_emulation/__init__.py.
#pragma once
#include "emulated/device_functions.h"
#include "emulated/kernels.h"
#include "emulated/runtime_api.h"
