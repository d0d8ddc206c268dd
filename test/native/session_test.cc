#include "native/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <random>
#include <thread>

#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace resnet_native {
namespace {

using std::chrono::microseconds;

// What a fake run does. The tests give it in the place of the images.
struct Script {
  std::function<void(const std::atomic<bool>* cancelled)> work = [](auto*) {};
  bool on_own_thread = false;  // Run returns at once and calls `done` later, as a GPU backend would
};

class FakeContext final : public Context {
 public:
  explicit FakeContext(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}
  ~FakeContext() override {
    for (std::thread& thread : threads_) thread.join();
  }

  void Run(const RunRequest& request, Completion done) override {
    const auto* script = reinterpret_cast<const Script*>(request.input.images);
    if (script->on_own_thread) {
      threads_.emplace_back([=] { RunScript(*script, request.cancelled, done); });
    } else {
      RunScript(*script, request.cancelled, done);
    }
  }

 private:
  static void RunScript(const Script& script, const std::atomic<bool>* cancelled, const Completion& done) {
    std::exception_ptr error;
    try {
      script.work(cancelled);
    } catch (...) {
      error = std::current_exception();
    }
    done(error);
  }

  const std::shared_ptr<const Plan> plan_;
  std::vector<std::thread> threads_;
};

class FakePlan final : public Plan {
 public:
  explicit FakePlan(int contexts_that_can_be_had = 100) : left_(contexts_that_can_be_had) {}

  const Graph& graph() const override { return graph_; }
  std::vector<StepInfo> Describe() const override { return {}; }
  int default_contexts() const override { return 2; }
  std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const override {
    if (left_-- <= 0) throw Error(ErrorCode::kOutOfMemory, "no context left");
    return std::make_unique<FakeContext>(std::move(self));
  }

 private:
  const Graph graph_;
  mutable std::atomic<int> left_;
};

// Lets a test hold a run where it wants it.
class Gate {
 public:
  void Open() { opened_.set_value(); }
  void Wait() { future_.wait(); }

 private:
  std::promise<void> opened_;
  std::shared_future<void> future_ = opened_.get_future().share();
};

// The end of one run: its error code, or nullopt for success.
class Outcome {
 public:
  Completion Callback() {
    return [this](std::exception_ptr error) {
      ++calls_;
      std::optional<ErrorCode> code;
      try {
        if (error) std::rethrow_exception(error);
      } catch (const Error& ours) {
        code = ours.code();
      }
      promise_.set_value(code);
    };
  }
  std::optional<ErrorCode> Get() { return future_.get(); }
  bool IsReady() const { return future_.wait_for(microseconds(0)) == std::future_status::ready; }
  int calls() const { return calls_; }

 private:
  std::promise<std::optional<ErrorCode>> promise_;
  std::shared_future<std::optional<ErrorCode>> future_ = promise_.get_future().share();
  std::atomic<int> calls_{0};
};

RunRequest RequestOf(const Script& script) {
  RunRequest request;
  request.input.images = reinterpret_cast<const void* const*>(&script);
  return request;
}

std::shared_ptr<Session> NewSession(int contexts) {
  return Session::Create({std::make_shared<FakePlan>()}, {.contexts = contexts});
}

// Two runs that both wait inside: that ends only where neither waits for the other.
void ExpectTwoAtOnce(Session& session) {
  Gate gate;
  std::atomic<int> running{0};
  const Script script{.work = [&](auto*) {
    ++running;
    gate.Wait();
  }};
  std::vector<Outcome> outcomes(2);
  for (Outcome& outcome : outcomes) session.Submit(RequestOf(script), outcome.Callback());
  while (running < 2) std::this_thread::yield();
  gate.Open();
  for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.Get(), std::nullopt);
}

TEST(Session, RunsInTheOrderOfSubmission) {
  const auto session = NewSession(1);
  std::vector<int> order;
  std::vector<Script> scripts(20);
  std::vector<Outcome> outcomes(20);
  for (int i = 0; i < 20; ++i) {
    scripts[i].work = [&order, i](auto*) { order.push_back(i); };
    scripts[i].on_own_thread = i % 2 == 1;
    session->Submit(RequestOf(scripts[i]), outcomes[i].Callback());
  }
  for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.Get(), std::nullopt);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(order[i], i);
}

TEST(Session, RunsAsManyAtOnceAsItHasContexts) {
  const auto session = NewSession(3);
  Gate gate;
  std::atomic<int> running{0}, most{0};
  const Script script{.work = [&](auto*) {
    const int now = ++running;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    gate.Wait();
    --running;
  }};
  std::vector<Outcome> outcomes(10);
  for (Outcome& outcome : outcomes) session->Submit(RequestOf(script), outcome.Callback());
  while (running < 3) std::this_thread::yield();
  gate.Open();
  for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.Get(), std::nullopt);
  EXPECT_EQ(most, 3);
}

TEST(Session, TakesThePlansNumberOfContextsByDefault) {
  const auto session = NewSession(0);
  ExpectTwoAtOnce(*session);
}

TEST(Session, DropsACancelledRunFromTheQueue) {
  const auto session = NewSession(1);
  Gate gate;
  std::atomic<bool> ran{false};
  const Script first{.work = [&](auto*) { gate.Wait(); }};
  const Script second{.work = [&](auto*) { ran = true; }};
  const Script third;
  Outcome first_done, second_done, third_done;
  session->Submit(RequestOf(first), first_done.Callback());
  const Session::RunId id = session->Submit(RequestOf(second), second_done.Callback());
  session->Submit(RequestOf(third), third_done.Callback());
  session->Cancel(id);
  ASSERT_TRUE(second_done.IsReady());
  EXPECT_EQ(second_done.Get(), ErrorCode::kAborted);
  gate.Open();
  EXPECT_EQ(first_done.Get(), std::nullopt);
  EXPECT_EQ(third_done.Get(), std::nullopt);
  EXPECT_FALSE(ran);
}

TEST(Session, TellsARunningRunThatItIsCancelled) {
  const auto session = NewSession(1);
  Gate started;
  const Script script{.work = [&](const std::atomic<bool>* cancelled) {
    started.Open();
    while (!*cancelled) std::this_thread::yield();
    throw Error(ErrorCode::kAborted, "stopped");
  }};
  Outcome outcome;
  const Session::RunId id = session->Submit(RequestOf(script), outcome.Callback());
  started.Wait();
  session->Cancel(id);
  EXPECT_EQ(outcome.Get(), ErrorCode::kAborted);
}

TEST(Session, ACancelledRunIsAbortedEvenIfItWentThrough) {
  const auto session = NewSession(1);
  Gate started, finish;
  const Script script{.work = [&](auto*) {
    started.Open();
    finish.Wait();
  }};
  Outcome outcome;
  const Session::RunId id = session->Submit(RequestOf(script), outcome.Callback());
  started.Wait();
  session->Cancel(id);
  finish.Open();
  EXPECT_EQ(outcome.Get(), ErrorCode::kAborted);
}

TEST(Session, CancellingWhatIsDoneOrUnknownIsHarmless) {
  const auto session = NewSession(1);
  const Script script;
  Outcome outcome;
  const Session::RunId id = session->Submit(RequestOf(script), outcome.Callback());
  EXPECT_EQ(outcome.Get(), std::nullopt);
  session->Cancel(id);
  session->Cancel(12345);
  EXPECT_EQ(outcome.calls(), 1);
}

TEST(Session, GoesOnAfterAFailedRun) {
  const auto session = NewSession(1);
  const Script failing{.work = [](auto*) { throw Error(ErrorCode::kInvalidShape, "too small"); }};
  const Script good;
  Outcome failed, passed;
  session->Submit(RequestOf(failing), failed.Callback());
  session->Submit(RequestOf(good), passed.Callback());
  EXPECT_EQ(failed.Get(), ErrorCode::kInvalidShape);
  EXPECT_EQ(passed.Get(), std::nullopt);
}

TEST(Session, AContextThatLostItsDeviceLeavesThePool) {
  const auto session = NewSession(2);
  const Script losing{.work = [](auto*) { throw Error(ErrorCode::kDeviceLost, "gone"); }};
  const Script good;
  Outcome lost;
  session->Submit(RequestOf(losing), lost.Callback());
  EXPECT_EQ(lost.Get(), ErrorCode::kDeviceLost);
  std::vector<Outcome> outcomes(10);
  for (Outcome& outcome : outcomes) session->Submit(RequestOf(good), outcome.Callback());
  for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.Get(), std::nullopt);
}

TEST(Session, WithoutAContextLeftEveryRunEndsWithDeviceLost) {
  const auto session = NewSession(1);
  Gate gate;
  const Script losing{.work = [&](auto*) {
    gate.Wait();
    throw Error(ErrorCode::kDeviceLost, "gone");
  }};
  const Script good;
  std::vector<Outcome> waiting(3);
  Outcome lost, late;
  session->Submit(RequestOf(losing), lost.Callback());
  for (Outcome& outcome : waiting) session->Submit(RequestOf(good), outcome.Callback());
  gate.Open();
  EXPECT_EQ(lost.Get(), ErrorCode::kDeviceLost);
  for (Outcome& outcome : waiting) EXPECT_EQ(outcome.Get(), ErrorCode::kDeviceLost);
  session->Cancel(session->Submit(RequestOf(good), late.Callback()));
  EXPECT_EQ(late.Get(), ErrorCode::kDeviceLost);
  EXPECT_EQ(late.calls(), 1);
}

TEST(Session, SeveralPlansShareOneQueue) {
  const auto session =
      Session::Create({std::make_shared<FakePlan>(), std::make_shared<FakePlan>()}, {.contexts = 1});
  ExpectTwoAtOnce(*session);
}

TEST(Session, EndsOnlyWhenEverySubmittedRunIsDone) {
  auto session = NewSession(2);
  const Script slow{.work = [](auto*) { std::this_thread::sleep_for(microseconds(2000)); }};
  std::vector<Outcome> outcomes(10);
  for (Outcome& outcome : outcomes) session->Submit(RequestOf(slow), outcome.Callback());
  session.reset();
  for (Outcome& outcome : outcomes) {
    ASSERT_TRUE(outcome.IsReady());
    EXPECT_EQ(outcome.Get(), std::nullopt);
  }
}

TEST(Session, ComputesWithTheNicenessAskedFor) {
#ifdef __linux__
  const int before = getpriority(PRIO_PROCESS, 0);
  if (before > 19 - 3) GTEST_SKIP() << "this process is as nice as can be already";
  const auto session = Session::Create({std::make_shared<FakePlan>()}, {.contexts = 1, .niceness = 3});
  int computing = 0, helping = 0;
  const Script script{.work = [&](auto*) {
    computing = getpriority(PRIO_PROCESS, 0);
    std::thread([&] { helping = getpriority(PRIO_PROCESS, 0); }).join();
  }};
  Outcome outcome;
  session->Submit(RequestOf(script), outcome.Callback());
  EXPECT_EQ(outcome.Get(), std::nullopt);
  EXPECT_EQ(computing, before + 3);
  EXPECT_EQ(helping, before + 3);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before);
#else
  GTEST_SKIP() << "only Linux has threads of their own niceness";
#endif
}

#ifdef __linux__
// Of the calling thread, in nanoseconds; 0 where threads have none of their own (before Linux 6.12).
uint64_t SchedulerSlice() {
  uint64_t attributes[6] = {};  // of which the fourth is the slice
  syscall(SYS_sched_getattr, 0, attributes, sizeof(attributes), 0);
  return attributes[3];
}
#endif

TEST(Session, LetsThreadsInThatWantTheProcessorForAMoment) {
#ifdef __linux__
  const uint64_t before = SchedulerSlice();
  if (before == 0) GTEST_SKIP() << "this Linux has no slices of a thread's own";
  uint64_t nice = 0, like_others = 0;
  for (const auto& [niceness, slice] : {std::pair{3, &nice}, std::pair{0, &like_others}}) {
    const auto session =
        Session::Create({std::make_shared<FakePlan>()}, {.contexts = 1, .niceness = niceness});
    const Script script{.work = [slice = slice](auto*) { *slice = SchedulerSlice(); }};
    Outcome outcome;
    session->Submit(RequestOf(script), outcome.Callback());
    EXPECT_EQ(outcome.Get(), std::nullopt);
  }
  EXPECT_EQ(nice, 100'000'000u);
  EXPECT_EQ(like_others, before);
#else
  GTEST_SKIP() << "only Linux has slices of a thread's own";
#endif
}

TEST(Session, FailsWhenAContextCannotBeHad) {
  const auto plan = std::make_shared<FakePlan>(1);
  EXPECT_THROW(Session::Create({plan}, {.contexts = 2}), Error);
  EXPECT_EQ(plan.use_count(), 1);  // the context that could be had is gone again
}

TEST(Session, IsFoundByItsHandleWhileItLives) {
  auto session = Session::Create({std::make_shared<FakePlan>()}, {.contexts = 1, .description = "notes"});
  const uint64_t handle = session->handle();
  auto attached = Session::Attach(handle);
  EXPECT_EQ(attached, session);
  EXPECT_EQ(attached->options().description, "notes");
  session.reset();
  const Script script;
  Outcome outcome;
  attached->Submit(RequestOf(script), outcome.Callback());
  EXPECT_EQ(outcome.Get(), std::nullopt);
  attached.reset();
  try {
    Session::Attach(handle);
    FAIL() << "attached to a session that is gone";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kSessionClosed);
  }
}

// One client of the stress test: submits runs of random length, cancels some, and counts how they end.
struct Client {
  static constexpr int kRuns = 200;
  std::atomic<int> done{0}, failed{0}, aborted{0};

  void Use(uint64_t handle, uint32_t seed) {
    auto session = Session::Attach(handle);
    std::mt19937 random(seed);
    std::vector<Script> scripts(kRuns);
    for (Script& script : scripts) {
      const auto length = microseconds(random() % 200);
      const bool fails = random() % 5 == 0;
      script.on_own_thread = random() % 2 == 0;
      script.work = [length, fails](const std::atomic<bool>* cancelled) {
        std::this_thread::sleep_for(length);
        if (*cancelled) throw Error(ErrorCode::kAborted, "stopped");
        if (fails) throw Error(ErrorCode::kInternal, "failed as told");
      };
      const auto id = session->Submit(RequestOf(script), [this](std::exception_ptr error) { Count(error); });
      if (random() % 3 == 0) std::this_thread::sleep_for(microseconds(random() % 100));
      if (random() % 3 == 0) session->Cancel(id);
    }
    while (done + failed + aborted < kRuns) std::this_thread::yield();
  }

  void Count(const std::exception_ptr& error) {
    try {
      if (error) std::rethrow_exception(error);
      ++done;
    } catch (const Error& ours) {
      ++(ours.code() == ErrorCode::kAborted ? aborted : failed);
    }
  }
};

TEST(Session, SurvivesManyThreadsThatSubmitCancelAndLeave) {
  auto session = NewSession(3);
  std::vector<Client> clients(4);
  {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < clients.size(); ++i) {
      threads.emplace_back([&, i] { clients[i].Use(session->handle(), static_cast<uint32_t>(i)); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  session.reset();
  for (const Client& client : clients) {
    EXPECT_EQ(client.done + client.failed + client.aborted, Client::kRuns);
    EXPECT_GT(client.done, 0);
    EXPECT_GT(client.failed, 0);
    EXPECT_GT(client.aborted, 0);
  }
}

}  // namespace
}  // namespace resnet_native
