// IoThreadObject: one socket's life and properties. The first argument of each call is the socket's id.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bridge/io_thread_object.h"
#include "core/base/or_errno.h"
#include "core/socket/multicast.h"
#include "core/socket/options.h"
#include "core/socket/path_mtu.h"
#include "core/socket/raw_options.h"
#include "core/socket/socket.h"
#include "core/socket/socket_name.h"

namespace ksocket {

namespace {

// Sets the size of the receive buffer, which then stays as it is.
template <typename Set>
int choose_receive_buffer(Endpoint& endpoint, Set&& set) {
  std::lock_guard lock(endpoint.rx_mutex);
  int error = set();
  if (error == 0) endpoint.receive_buffer.leave();
  return error;
}

}  // namespace

// getFd(id) → the descriptor
Napi::Value IoThreadObject::get_fd(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [](Endpoint& endpoint) { return endpoint.fd.get(); });
}

// copyFd(id) → a duplicate for the caller to close
Napi::Value IoThreadObject::copy_fd(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [](Endpoint& endpoint) {
    endpoint.held_elsewhere.store(true);
    // libuv, which gets it, aborts rather than close one of the standard streams' numbers (uv__close).
    return or_errno(fcntl(endpoint.fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  });
}

// bind(id, address, port)
Napi::Value IoThreadObject::bind(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Address address;
    int error = address_of(endpoint.family, info[1], info[2], &address);
    return error != 0 ? error : bind_socket(endpoint.fd.get(), address);
  });
}

// takeRights(id, number, out: Int32Array) → how many descriptors there are now, which are the caller's; none
// a second time. Those that `out` has no room for are closed.
Napi::Value IoThreadObject::take_rights(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint || !endpoint->local) return number(info.Env(), 0);
  Napi::Int32Array out = info[2].As<Napi::Int32Array>();
  std::span<int32_t> room(out.Data(), out.ElementLength());
  std::lock_guard lock(endpoint->rx_mutex);
  std::vector<Fd> fds = endpoint->local->take_rights(u32(info[1]));
  size_t count = std::min(fds.size(), room.size());
  for (size_t i = 0; i < count; i++) room[i] = fds[i].release();
  return number(info.Env(), static_cast<int>(count));
}

// waitsFor(id, to: Uint32Array | null) → does anything wait for this receiver, or for a connected socket's?
Napi::Value IoThreadObject::waits_for(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  bool waits = false;
  if (endpoint && endpoint->local) {
    std::lock_guard lock(endpoint->tx_mutex);
    uint64_t path = endpoint->local->peers.connected_to();
    if (!info[1].IsNull()) std::memcpy(&path, info[1].As<Napi::Uint32Array>().Data(), sizeof path);
    waits = endpoint->local->peers.waits_for(path) || !endpoint->backlog.empty();
  }
  return Napi::Boolean::New(info.Env(), waits);
}

// connect(id, address, port)
Napi::Value IoThreadObject::connect(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Address address;
    int error = address_of(endpoint.family, info[1], info[2], &address);
    if (error == 0) error = connect_socket(endpoint.fd.get(), address);
    if (error == 0 && endpoint.local) {
      std::lock_guard lock(endpoint.tx_mutex);
      endpoint.local->peers.connected(path_number(address));
    }
    return error;
  });
}

// disconnect(id)
Napi::Value IoThreadObject::disconnect(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) { return thread_->disconnect(endpoint); });
}

// unwatch(id): receives no more
Napi::Value IoThreadObject::unwatch(const Napi::CallbackInfo& info) {
  if (auto endpoint = find(info[0])) thread_->unwatch(*endpoint);
  return info.Env().Undefined();
}

// keepContext(id, resource): the socket's lone datagrams come in an async context that begins here
Napi::Value IoThreadObject::keep_context(const Napi::CallbackInfo& info) {
  auto context = std::make_shared<AsyncContext>();
  context->open(env_, info[1], "UDPWRAP");
  if (find(info[0])) {
    reader_.keep_context(env_, u32(info[0]), std::move(context));
  } else {  // a hook that was told of it has closed the socket
    context->close(env_);
  }
  return info.Env().Undefined();
}

// close(id)
Napi::Value IoThreadObject::close(const Napi::CallbackInfo& info) {
  reader_.drop_context(env_, u32(info[0]));
  loop_watch_.forget_writer(u32(info[0]));
  everywhere_.forget(u32(info[0]));
  if (thread_) thread_->close(u32(info[0]));
  return info.Env().Undefined();
}

// getName(id, peer: boolean) → [address, port]
Napi::Value IoThreadObject::get_name(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Address address;
    int error = socket_name(endpoint.fd.get(), boolean(info[1]), &address);
    if (error != 0) return number(info.Env(), error);
    Napi::Array out = Napi::Array::New(info.Env(), 2);
    out.Set(0u, Napi::String::New(info.Env(), format_address(address)));
    out.Set(1u, number(info.Env(), int{address.port}));
    return Napi::Value(out);
  });
}

// setOption(id, option, value: number | Uint8Array)
Napi::Value IoThreadObject::set_option(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    auto option = static_cast<SocketOption>(u32(info[1]));
    auto set = [&, value = OptionValue(info[2])] {
      return ksocket::set_option(endpoint.fd.get(), endpoint.family, option, value.bytes());
    };
    if (option == SocketOption::receive_buffer_bytes) return choose_receive_buffer(endpoint, set);
    int error = set();
    if (error == 0 && (option == SocketOption::send_times || option == SocketOption::tx_time)) {
      std::lock_guard lock(endpoint.rx_mutex);
      endpoint.reads_queue = true;
    }
    return error;
  });
}

// getOption(id, option) → the value (no option's is negative)
Napi::Value IoThreadObject::get_option(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    auto option = static_cast<SocketOption>(u32(info[1]));
    int value = 0;
    int error = ksocket::get_option(endpoint.fd.get(), endpoint.family, option, &value);
    return error != 0 ? error : value;
  });
}

// getPathMtu(id, address, toMany) → bytes, or -errno
Napi::Value IoThreadObject::get_path_mtu(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    constexpr uint16_t discard = 9;  // connect(2) takes any port, routes may be chosen by it
    Address address;
    int error = parse_address(endpoint.family, text(info[1]), discard, &address);
    return error != 0 ? error : path_mtu(endpoint.fd.get(), endpoint.family, address, boolean(info[2]));
  });
}

// setRawOption(id, level, name, value: Uint8Array) → 0, -errno, or why such a call is not made
Napi::Value IoThreadObject::set_raw_option(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    int level = i32(info[1]), name = i32(info[2]);
    if (const char* why = refusal(OptionCall::set, level, name)) {
      return Napi::Value(Napi::String::New(info.Env(), why));
    }
    auto set = [&, value = bytes(info[3])] {
      return ksocket::set_raw_option(endpoint.fd.get(), level, name, value);
    };
    bool is_receive_buffer = level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_RCVBUFFORCE);
    return number(info.Env(), is_receive_buffer ? choose_receive_buffer(endpoint, set) : set());
  });
}

// getRawOption(id, level, name, out: Uint8Array) → how many bytes, -errno, or why such a call is not made
Napi::Value IoThreadObject::get_raw_option(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    int level = i32(info[1]), name = i32(info[2]);
    if (const char* why = refusal(OptionCall::get, level, name)) {
      return Napi::Value(Napi::String::New(info.Env(), why));
    }
    return number(info.Env(), ksocket::get_raw_option(endpoint.fd.get(), level, name, bytes(info[3])));
  });
}

// changeMembership(id, { join, group, networkInterface, source, everywhere }): empty texts where not given
Napi::Value IoThreadObject::change_membership(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Reader reader(env_);
    bool join = boolean(reader.get(info[1], "join"));
    bool everywhere = boolean(reader.get(info[1], "everywhere"));
    Everywhere::Group to{text(reader.get(info[1], "group")), text(reader.get(info[1], "source"))};
    std::string interface = text(reader.get(info[1], "networkInterface"));
    if (reader.error() != 0) return reader.error();
    if (!everywhere) return set_membership(endpoint.fd.get(), join, to.group, interface, to.source);
    return join ? everywhere_.join(endpoint.id, endpoint.fd.get(), to) : everywhere_.leave(endpoint.id, to);
  });
}

// setMulticastInterface(id, address)
Napi::Value IoThreadObject::set_multicast_interface(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    return ksocket::set_multicast_interface(endpoint.fd.get(), text(info[1]));
  });
}

// getBacklog(id) → [datagrams, bytes] that wait for the socket to be writable
Napi::Value IoThreadObject::get_backlog(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  uint64_t count = 0;
  uint64_t bytes = 0;
  if (endpoint) {
    std::lock_guard lock(endpoint->tx_mutex);
    count = endpoint->backlog.datagrams() + (endpoint->local ? endpoint->local->peers.datagrams() : 0);
    bytes =
        endpoint->backlog.payload_bytes() + (endpoint->local ? endpoint->local->peers.payload_bytes() : 0);
  }
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  out.Set(0u, number(info.Env(), count));
  out.Set(1u, number(info.Env(), bytes));
  return out;
}

// countKernelDrops(id): the counters have what the kernel has dropped up to now
Napi::Value IoThreadObject::count_kernel_drops(const Napi::CallbackInfo& info) {
  if (auto endpoint = find(info[0])) endpoint->kernel_drops.refresh(endpoint->fd.get(), endpoint->counters);
  return info.Env().Undefined();
}

// notifyDrained(id) → will there be a `drained` record?
Napi::Value IoThreadObject::notify_drained(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  return Napi::Boolean::New(info.Env(), endpoint && thread_->notify_drained(*endpoint));
}

// notifyWritable(id): there will be a `drained` record once it is
Napi::Value IoThreadObject::notify_writable(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (endpoint && !loop_watch_.tell_writable(endpoint->id, endpoint->fd.get())) {
    thread_->notify_writable(*endpoint);
  }
  return info.Env().Undefined();
}

}  // namespace ksocket
