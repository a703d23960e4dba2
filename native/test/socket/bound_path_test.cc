#include "core/socket/bound_path.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "core/socket/socket.h"
#include "core/socket/socket_name.h"

namespace ksocket {
namespace {

class BoundPathTest : public testing::Test {
 protected:
  BoundPathTest() {
    char pattern[] = "/tmp/ksocket-XXXXXX";
    directory_ = mkdtemp(pattern);
  }
  ~BoundPathTest() override {
    unlink(path("a").c_str());
    unlink(path("b").c_str());
    rmdir(directory_.c_str());
  }

  std::string path(const std::string& name) { return directory_ + "/" + name; }
  bool exists(const std::string& name) { return access(path(name).c_str(), F_OK) == 0; }

  struct Bound {
    Fd fd;
    std::unique_ptr<BoundPath> path;
    int error;
  };
  Bound bind(const std::string& name, PathOptions options = {}) {
    Bound out;
    Address address;
    EXPECT_EQ(parse_path(path(name), &address), 0);
    EXPECT_EQ(open_datagram(kLocal, &out.fd), 0);
    out.error = bind_to_path(out.fd.get(), address, options, &out.path);
    return out;
  }

 private:
  std::string directory_;
};

TEST_F(BoundPathTest, goes_when_it_ends) {
  Bound bound = bind("a");
  ASSERT_EQ(bound.error, 0);
  EXPECT_TRUE(exists("a"));
  bound.path.reset();
  EXPECT_FALSE(exists("a"));
}

TEST_F(BoundPathTest, stays_where_that_is_wanted) {
  Bound bound = bind("a", {.keep = true});
  EXPECT_EQ(bound.path, nullptr);
  bound.fd.reset();
  EXPECT_TRUE(exists("a"));
}

TEST_F(BoundPathTest, leaves_the_file_of_another_one) {
  Bound first = bind("a");
  ASSERT_EQ(rename(path("a").c_str(), path("b").c_str()), 0);
  Bound second = bind("a");
  ASSERT_EQ(second.error, 0);
  first.path.reset();
  EXPECT_TRUE(exists("a"));
}

TEST_F(BoundPathTest, is_not_replaced_while_somebody_listens) {
  Bound first = bind("a");
  EXPECT_EQ(bind("a").error, -EADDRINUSE);
  EXPECT_EQ(bind("a", {.replace_stale = true}).error, -EADDRINUSE);
}

TEST_F(BoundPathTest, is_replaced_when_nobody_does) {
  bind("a", {.keep = true});
  EXPECT_EQ(bind("a").error, -EADDRINUSE);
  EXPECT_EQ(bind("a", {.replace_stale = true}).error, 0);
}

TEST_F(BoundPathTest, is_not_replaced_where_it_is_no_socket) {
  FILE* file = fopen(path("a").c_str(), "w");
  ASSERT_NE(file, nullptr);
  fclose(file);
  EXPECT_EQ(bind("a", {.replace_stale = true}).error, -EADDRINUSE);
  EXPECT_TRUE(exists("a"));
}

TEST_F(BoundPathTest, has_the_mode_that_is_asked_for) {
  mode_t before = umask(077);
  for (int mode : {0600, 0666, 0777}) {
    Bound bound = bind("a", {.mode = mode});
    ASSERT_EQ(bound.error, 0);
    struct stat status;
    ASSERT_EQ(lstat(path("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, static_cast<mode_t>(mode));
  }
  umask(before);
}

}  // namespace
}  // namespace ksocket
