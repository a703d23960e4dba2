#include "core/xdp/emit_guard.h"

namespace ksocket::xdp {

void emit_guard(Assembler& out, const Protection& protection) {}

}  // namespace ksocket::xdp
