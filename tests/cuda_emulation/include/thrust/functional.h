#pragma once
#include "emulated/vectors.h"
