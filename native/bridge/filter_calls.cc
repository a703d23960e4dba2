// IoThreadObject: programs that the kernel runs for a socket. The first argument of each call is the socket's
// id.
#include <linux/filter.h>

#include <utility>
#include <vector>

#include "bridge/io_thread_object.h"
#include "core/socket/steering.h"

namespace ksocket {

// setFilter(id, { program: Uint8Array, lock, ofFlows }): an array of sock_filter, none of them for no filter
Napi::Value IoThreadObject::set_filter(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Reader reader(env_);
    EndpointFilter::Wanted wanted;
    if (int error = instructions(bytes(reader.get(info[1], "program")), &wanted.program)) return error;
    wanted.lock = boolean(reader.get(info[1], "lock"));
    wanted.of_flows = boolean(reader.get(info[1], "ofFlows"));
    if (reader.error() != 0) return reader.error();
    return thread_->set_filter(endpoint, std::move(wanted));
  });
}

// steer(id, program: Uint8Array): an array of sock_filter, as attach_steering() takes it
Napi::Value IoThreadObject::steer(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    std::vector<sock_filter> program;
    int error = instructions(bytes(info[1]), &program);
    return error != 0 ? error : attach_steering(endpoint.fd.get(), program);
  });
}

}  // namespace ksocket
