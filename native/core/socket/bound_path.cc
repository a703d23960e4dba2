#include "core/socket/bound_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/or_errno.h"
#include "core/socket/path_table.h"
#include "core/socket/socket.h"
#include "core/socket/socket_name.h"

namespace ksocket {

namespace {

// A socket's file, and no socket: connect(2) says ECONNREFUSED of other files, too.
bool is_stale(const std::string& path, const Address& name) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  Fd probe;
  return open_datagram(kLocal, &probe) == 0 && connect_socket(probe.get(), name) == -ECONNREFUSED;
}

}  // namespace

BoundPath::~BoundPath() {
  struct stat status;
  if (lstat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) unlink(path_.c_str());
}

int bind_to_path(int fd, const Address& name, const PathOptions& options, std::unique_ptr<BoundPath>* out) {
  std::string path = PathTable::of_process().name_of(path_number(name));
  bool is_file = !path.empty() && path[0] != '\0';
  // unix_bind_bsd gives the file the socket's own mode, less the umask: nobody gets in before chmod().
  if (is_file && options.mode >= 0 && fchmod(fd, static_cast<mode_t>(options.mode)) < 0) return -errno;
  int error = bind_socket(fd, name);
  if (error == -EADDRINUSE && is_file && options.replace_stale && is_stale(path, name)) {
    if (unlink(path.c_str()) < 0 && errno != ENOENT) return -errno;
    error = bind_socket(fd, name);
  }
  if (error != 0 || !is_file) return error;
  struct stat status;
  if (options.mode >= 0 && chmod(path.c_str(), static_cast<mode_t>(options.mode)) < 0) return -errno;
  if (!options.keep && lstat(path.c_str(), &status) == 0) {
    *out = std::make_unique<BoundPath>(std::move(path), status.st_dev, status.st_ino);
  }
  return 0;
}

}  // namespace ksocket
