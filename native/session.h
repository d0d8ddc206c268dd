#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "native/backend.h"

namespace resnet_native {

struct SessionOptions {
  int contexts = 0;  // how many runs at once on each plan; 0: as many as the plan says
  int max_batch = 32;
  int niceness = 0;         // of the threads that compute, where threads have one (Linux)
  std::string description;  // the creator's own notes, for those who attach
};

// A plan, or the same network's plans on several devices, with a bounded pool of contexts and the queue
// before it: runs start in the order of their submission. Each context has a thread that waits while its runs
// compute, so nothing here blocks who submits. A context whose device is lost leaves the pool; when none is
// left, every run ends with that error. Thread-safe.
//
// Several JavaScript environments may share a session, each holding a reference: the first makes it, the
// others attach by its handle, and it ends with the last.
class Session {
 public:
  using RunId = uint64_t;

  // Blocks while the contexts are made, and throws what NewContext throws.
  static std::shared_ptr<Session> Create(std::vector<std::shared_ptr<const Plan>> plans,
                                         SessionOptions options);

  // The living session of this handle, from any thread. Throws kSessionClosed when there is none.
  static std::shared_ptr<Session> Attach(uint64_t handle);

  // Waits until every submitted run is done; must not happen inside a Completion.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Queues a run. `done` is called exactly once, on any thread, and until then the caller keeps the input,
  // the outputs and `step_ms` alive. `request.cancelled` is the session's: use Cancel().
  RunId Submit(const RunRequest& request, Completion done);

  // A queued run is dropped, and `done` called with kAborted before this returns; a running one stops at its
  // next step, and ends with kAborted even if it was through by then (but with kDeviceLost if it found that
  // out). Harmless for runs that are done.
  void Cancel(RunId id);

  // The first of them: all have the same graph.
  const Plan& plan() const { return *plans_[0]; }
  const SessionOptions& options() const { return options_; }
  uint64_t handle() const { return handle_; }

 private:
  struct Job;

  Session(std::vector<std::shared_ptr<const Plan>> plans, SessionOptions options);
  void Start();
  void Serve(Context& context);
  std::shared_ptr<Job> NextJob();
  // The error that the job ended with if it says that the context's device is lost; else null.
  std::exception_ptr Execute(Context& context, Job& job);
  void LeavePool(std::exception_ptr lost);

  const std::vector<std::shared_ptr<const Plan>> plans_;
  const SessionOptions options_;
  const uint64_t handle_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queued_;
  std::vector<std::shared_ptr<Job>> running_;
  RunId last_id_ = 0;
  bool stopping_ = false;
  int serving_ = 0;          // contexts in the pool
  std::exception_ptr lost_;  // set when the last context has left it

  std::vector<std::unique_ptr<Context>> contexts_;
  std::vector<std::thread> threads_;  // one a context
};

}  // namespace resnet_native
