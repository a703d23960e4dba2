// How large each map is.
#pragma once

#include <vector>

#include "core/xdp/compile.h"

namespace ksocket::xdp {

std::vector<MapSpec> map_specs(const Protection& protection, uint32_t rules, uint32_t numbers,
                               uint32_t programs);

}  // namespace ksocket::xdp
