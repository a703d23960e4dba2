// A shared object with a handler (native/include/ksocket_handler.h), from dlopen(3) to dlclose.
#pragma once

#include <memory>
#include <string>

#include "include/ksocket_handler.h"

namespace ksocket {

class Handler {
 public:
  // Null when it cannot be had; `*error` says why, in words.
  static std::unique_ptr<Handler> load(const std::string& path, const std::string& argument,
                                       std::string* error);
  ~Handler();
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  void handle(const ksocket_batch& batch) { table_->handle(state_, &batch); }

 private:
  Handler(void* object, const ksocket_handler* table) : object_(object), table_(table) {}

  void* object_;
  const ksocket_handler* table_;
  void* state_ = nullptr;
  bool open_ = false;
};

}  // namespace ksocket
