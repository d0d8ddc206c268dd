#include "native/session.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <system_error>
#include <unordered_map>

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace resnet_native {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<uint64_t, std::weak_ptr<Session>> sessions;
};

// Never destroyed: threads may still use it while the process exits.
Registry& Sessions() {
  static Registry* registry = new Registry;
  return *registry;
}

uint64_t NextHandle() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// Which everyone must hear of, whether or not they still want the run.
bool IsDeviceLost(const std::exception_ptr& error) {
  if (!error) return false;
  try {
    std::rethrow_exception(error);
  } catch (const Error& ours) {
    return ours.code() == ErrorCode::kDeviceLost;
  } catch (...) {
    return false;
  }
}

std::exception_ptr Aborted() {
  return std::make_exception_ptr(Error(ErrorCode::kAborted, "the run was cancelled"));
}

#ifdef __linux__
// What sched_getattr and sched_setattr take, which not every C library declares.
struct SchedulerAttributes {
  uint32_t size = sizeof(SchedulerAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t niceness = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};

// The longest there is. From Linux 6.12 on, a thread that wakes and wants the processor for less than the one
// that has it gets it at once, not at the next tick of the clock; shares of the processor stay what they are.
void TakeLongSlices() {
  constexpr uint64_t kSliceNs = 100'000'000;
  SchedulerAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}
#endif

// Has the calling thread, and those that it starts from now on, give way to others. What the system refuses
// costs no more than that.
void GiveWay(int niceness) {
#ifdef __linux__
  if (niceness <= 0) return;
  setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + niceness);
  TakeLongSlices();
#else
  (void)niceness;
#endif
}

}  // namespace

struct Session::Job {
  RunId id;
  RunRequest request;
  Completion done;
  std::atomic<bool> cancelled{false};
};

std::shared_ptr<Session> Session::Create(std::vector<std::shared_ptr<const Plan>> plans,
                                         SessionOptions options) {
  std::shared_ptr<Session> session(new Session(std::move(plans), std::move(options)));
  session->Start();
  Registry& registry = Sessions();
  std::lock_guard lock(registry.mutex);
  registry.sessions.emplace(session->handle_, session);
  return session;
}

std::shared_ptr<Session> Session::Attach(uint64_t handle) {
  Registry& registry = Sessions();
  std::lock_guard lock(registry.mutex);
  const auto found = registry.sessions.find(handle);
  std::shared_ptr<Session> session = found == registry.sessions.end() ? nullptr : found->second.lock();
  if (!session) {
    throw Error(ErrorCode::kSessionClosed, "no open session has the handle " + std::to_string(handle) +
                                               ": attach before it is closed, in the same process");
  }
  return session;
}

Session::Session(std::vector<std::shared_ptr<const Plan>> plans, SessionOptions options)
    : plans_(std::move(plans)), options_(std::move(options)), handle_(NextHandle()) {}

// Apart from the constructor, so that the destructor cleans up when a context or a thread cannot be had.
void Session::Start() {
  for (const std::shared_ptr<const Plan>& plan : plans_) {
    const int count = options_.contexts > 0 ? options_.contexts : plan->default_contexts();
    for (int i = 0; i < count; ++i) contexts_.push_back(plan->NewContext(plan));
  }
  serving_ = static_cast<int>(contexts_.size());
  try {
    for (auto& context : contexts_) threads_.emplace_back([this, &context] { Serve(*context); });
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::kOutOfMemory, std::string("cannot start a thread for a session: ") + error.what());
  }
}

Session::~Session() {
  {
    Registry& registry = Sessions();
    std::lock_guard lock(registry.mutex);
    registry.sessions.erase(handle_);
  }
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Session::RunId Session::Submit(const RunRequest& request, Completion done) {
  auto job = std::make_shared<Job>();
  job->request = request;
  job->request.cancelled = &job->cancelled;
  job->done = std::move(done);
  RunId id;
  {
    std::lock_guard lock(mutex_);
    id = job->id = ++last_id_;
    if (!lost_) queued_.push_back(std::move(job));
  }
  if (job) {
    job->done(lost_);
  } else {
    changed_.notify_one();
  }
  return id;
}

void Session::Cancel(RunId id) {
  const auto has_id = [id](const std::shared_ptr<Job>& job) { return job->id == id; };
  std::shared_ptr<Job> dropped;
  {
    std::lock_guard lock(mutex_);
    const auto running = std::find_if(running_.begin(), running_.end(), has_id);
    if (running != running_.end()) (*running)->cancelled = true;
    const auto queued = std::find_if(queued_.begin(), queued_.end(), has_id);
    if (queued != queued_.end()) {
      dropped = *queued;
      queued_.erase(queued);
    }
  }
  if (dropped) dropped->done(Aborted());
}

void Session::Serve(Context& context) {
  GiveWay(options_.niceness);  // before the first run, in which a context starts its own threads
  while (const std::shared_ptr<Job> job = NextJob()) {
    if (std::exception_ptr lost = Execute(context, *job)) return LeavePool(std::move(lost));
  }
}

// The others go on; behind the last one, whatever waits has nobody to wait for.
void Session::LeavePool(std::exception_ptr lost) {
  std::deque<std::shared_ptr<Job>> left;
  {
    std::lock_guard lock(mutex_);
    if (--serving_ > 0) return;
    lost_ = lost;
    left.swap(queued_);
  }
  for (const std::shared_ptr<Job>& job : left) job->done(lost);
}

// Waits for a run and moves it to running_; null when the session ends and nothing is left to do.
std::shared_ptr<Session::Job> Session::NextJob() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
  if (queued_.empty()) return nullptr;
  std::shared_ptr<Job> job = std::move(queued_.front());
  queued_.pop_front();
  running_.push_back(job);
  return job;
}

std::exception_ptr Session::Execute(Context& context, Job& job) {
  // Shared, because the backend may still be returning from its call when this thread goes on.
  auto result = std::make_shared<std::promise<std::exception_ptr>>();
  context.Run(job.request, [result](std::exception_ptr error) { result->set_value(std::move(error)); });
  std::exception_ptr error = result->get_future().get();
  const bool lost = IsDeviceLost(error);
  {
    std::lock_guard lock(mutex_);
    std::erase_if(running_, [&job](const std::shared_ptr<Job>& other) { return other.get() == &job; });
    if (job.cancelled && !lost) error = Aborted();
  }
  job.done(error);
  return lost ? error : nullptr;
}

}  // namespace resnet_native
