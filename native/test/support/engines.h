// Both real engines, for tests that have to hold on each.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "engine/choose.h"

namespace ksocket::test {

inline std::unique_ptr<Engine> make_engine(const std::string& name) {
  ChosenEngine chosen = choose_engine(name);
  if (!chosen.engine) throw std::runtime_error("no engine " + name + ": " + std::to_string(chosen.error));
  return std::move(chosen.engine);
}

class OnEachEngine : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Engine> make_engine() const { return test::make_engine(GetParam()); }
};

inline auto both_engines() {
  return testing::Values("mmsg", "posix");
}
inline std::string engine_name(const testing::TestParamInfo<const char*>& info) {
  return info.param;
}

}  // namespace ksocket::test
