#include "core/socket/bound_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <string>
#include <utility>

#include "core/base/or_errno.h"
#include "core/socket/path_table.h"
#include "core/socket/socket.h"
#include "core/socket/socket_name.h"

namespace ksocket {

namespace {

bool is_file(const std::string& path, dev_t device, ino_t inode) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

// Takes away a socket's file, and no socket: connect(2) says ECONNREFUSED of other files, too. Several
// processes may be at it: the file is moved first, and one that has come meanwhile goes back.
bool take_stale(const std::string& path, const Address& name) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  Fd probe;
  if (open_datagram(kLocal, &probe) != 0 || connect_socket(probe.get(), name) != -ECONNREFUSED) return false;
  std::string moved = path + "." + std::to_string(getpid()) + "." + std::to_string(status.st_ino);
  if (rename(path.c_str(), moved.c_str()) < 0) return false;
  bool is_stale = is_file(moved, status.st_dev, status.st_ino);
  if (is_stale || link(moved.c_str(), path.c_str()) == 0) unlink(moved.c_str());
  return is_stale;
}

std::string from_root(const std::string& path) {
  char directory[PATH_MAX];
  if (path[0] == '/' || getcwd(directory, sizeof directory) == nullptr) return path;
  return std::string(directory) + "/" + path;
}

}  // namespace

BoundPath::~BoundPath() {
  if (!kept_ && is_file(path_, device_, inode_)) unlink(path_.c_str());
}

std::unique_ptr<BoundPath> path_of(const std::string& file) {
  unsigned long long device = 0, inode = 0;
  int end = 0;
  if (std::sscanf(file.c_str(), "%llu %llu %n", &device, &inode, &end) != 2 || file[end] != '/')
    return nullptr;
  return std::make_unique<BoundPath>(file.substr(end), static_cast<dev_t>(device), static_cast<ino_t>(inode));
}

int bind_to_path(int fd, const Address& name, const PathOptions& options, std::unique_ptr<BoundPath>* out) {
  std::string path = PathTable::of_process().name_of(path_number(name));
  bool has_file = !path.empty() && path[0] != '\0';
  bool has_mode = has_file && options.mode >= 0;
  auto mode = static_cast<mode_t>(options.mode);
  // unix_bind_bsd gives the file the socket's own mode, less the umask: nobody gets in before chmod().
  struct stat before;
  if (has_mode && (fstat(fd, &before) < 0 || fchmod(fd, mode) < 0)) return -errno;
  int error = bind_socket(fd, name);
  if (error == -EADDRINUSE && has_file && options.replace_stale && take_stale(path, name)) {
    error = bind_socket(fd, name);
  }
  if (error != 0 && has_mode) fchmod(fd, before.st_mode & ~S_IFMT);  // the next file is not to have it
  if (error != 0 || !has_file) return error;
  struct stat status;
  std::unique_ptr<BoundPath> file;
  if (lstat(path.c_str(), &status) == 0)
    file = std::make_unique<BoundPath>(from_root(path), status.st_dev, status.st_ino);
  if (has_mode && chmod(path.c_str(), mode) < 0) return -errno;  // and the file goes
  if (file && options.keep) {
    file->keep();
  } else {
    *out = std::move(file);
  }
  return 0;
}

}  // namespace ksocket
