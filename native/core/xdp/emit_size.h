// How long a reply will be: rules::size_limit and what reply_template.cc finds for each part, as
// instructions.
#pragma once

#include "core/xdp/emit.h"

namespace ksocket::xdp {

// No reply is shorter, whatever the request.
uint32_t least_reply_bytes(const rules::Template& reply);

// What Array.prototype.slice(begin, end) has of the payload: r3 is where it begins, r4 its size. Uses r2.
void emit_slice(Assembler& out, int32_t begin, int32_t end);

// Stores the size of the reply. Where it is longer than the rule allows, goes to `refuse`, and where it is
// longer than what the kernel writes, to `pass`. Uses r1 to r4.
void emit_size(Assembler& out, const rules::Rule& rule, Label refuse, Label pass);

}  // namespace ksocket::xdp
