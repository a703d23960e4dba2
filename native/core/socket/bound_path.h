// The path that a local socket is bound to, unix(7): a file that stays behind its socket, unless somebody
// takes it away.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "core/socket/address.h"

namespace ksocket {

struct PathOptions {
  int mode = -1;               // of the file, chmod(2); -1: 0777 and the process's umask
  bool replace_stale = false;  // where a socket's file is in the way that nobody listens at any more
  bool keep = false;           // the file stays
};

// Takes the file away when it ends, if it is still that of its socket. Its path begins at the root: the
// process may go to another directory meanwhile, or hand the socket to one that is in another.
class BoundPath {
 public:
  BoundPath(std::string path, dev_t device, ino_t inode)
      : path_(std::move(path)), device_(device), inode_(inode) {}
  BoundPath(const BoundPath&) = delete;
  ~BoundPath();

  // Which file it is, and where, for another process that is to take it away.
  std::string file() const { return std::to_string(device_) + " " + std::to_string(inode_) + " " + path_; }
  // The file stays.
  void keep() { kept_ = true; }

 private:
  const std::string path_;
  const dev_t device_;
  const ino_t inode_;
  bool kept_ = false;
};

// Of a socket that another process has bound; null where `file` is not as BoundPath::file() says.
std::unique_ptr<BoundPath> path_of(const std::string& file);

// bind(2). 0, or -errno: then there is no file. `out`: what there is to take away later; null for an abstract
// name.
int bind_to_path(int fd, const Address& name, const PathOptions& options, std::unique_ptr<BoundPath>* out);

}  // namespace ksocket
