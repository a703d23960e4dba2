#pragma once

#include "args.h"

// Each is one program; each ends the process with its result line.
namespace loadgen {

int flood(Args& args);
int paced(Args& args);
int pingpong(Args& args);
int sink(Args& args);
int echo(Args& args);

}  // namespace loadgen
