#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace resnet_native {

// What measuring chose on this machine, remembered in a file so that only the first compile measures. One
// line a choice, appended under the file's lock; what several processes add is all kept, and the last one
// counts. A file that cannot be read or written costs the measuring again, and nothing else. Thread-safe.
class ChoiceFile {
 public:
  // `machine`: one line of all that a choice depends on beside its key; its file in `folder` begins with it,
  // and has `kind` in its name. `folder` is made when there is something to write; empty: only memory
  // remembers.
  ChoiceFile(const std::string& machine, const std::string& kind, const std::string& folder);

  std::optional<std::string> Find(const std::string& key) const;
  // Neither key nor choice has a tab or a line's end.
  void Remember(const std::string& key, const std::string& choice, double milliseconds);

  const std::string& path() const { return path_; }
  // Why the file, or lines of it, were passed over; empty: they were not.
  const std::string& problem() const { return problem_; }

 private:
  void Load();

  const std::string header_;
  std::string path_, problem_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> choices_;
};

}  // namespace resnet_native
