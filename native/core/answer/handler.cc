#include "core/answer/handler.h"

#include <dlfcn.h>

namespace ksocket {

namespace {

constexpr const char* kSymbol = "ksocket_get_handler";
constexpr size_t kErrorBytes = 256;

}  // namespace

std::unique_ptr<Handler> Handler::load(const std::string& path, const std::string& argument,
                                       std::string* error) {
  // With a slash dlopen does not look in the system's directories for it.
  void* object = dlopen(path.find('/') == std::string::npos ? ("./" + path).c_str() : path.c_str(),
                        RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) {
    *error = dlerror();
    return nullptr;
  }
  std::unique_ptr<Handler> out(new Handler(object, nullptr));
  auto get = reinterpret_cast<decltype(&ksocket_get_handler)>(dlsym(object, kSymbol));
  if (get == nullptr) {
    *error = path + ": no symbol " + kSymbol;
    return nullptr;
  }
  const ksocket_handler* table = get();
  if (table == nullptr || table->version != KSOCKET_HANDLER_VERSION) {
    *error = path + ": made for version " + std::to_string(table != nullptr ? table->version : 0) +
             " of ksocket_handler.h, this is version " + std::to_string(KSOCKET_HANDLER_VERSION);
    return nullptr;
  }
  if (table->handle == nullptr) {
    *error = path + ": has no handle()";
    return nullptr;
  }
  out->table_ = table;
  char text[kErrorBytes] = {};
  if (table->open != nullptr && table->open(argument.c_str(), &out->state_, text, sizeof text) != 0) {
    text[kErrorBytes - 1] = '\0';
    *error = path + ": " + (text[0] != '\0' ? text : "refused to open");
    return nullptr;
  }
  out->open_ = true;
  return out;
}

Handler::~Handler() {
  if (open_ && table_->close != nullptr) table_->close(state_);
  dlclose(object_);
}

}  // namespace ksocket
