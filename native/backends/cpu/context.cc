#include "native/backends/cpu/context.h"

#include "native/backends/cpu/executor.h"

namespace resnet_native::cpu {

CpuContext::CpuContext(std::shared_ptr<const CpuPlan> plan)
    : mailbox_(std::make_shared<Mailbox>()), thread_(Work, mailbox_, std::move(plan)) {}

CpuContext::~CpuContext() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->closed = true;
  }
  mailbox_->arrived.notify_one();
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();  // `done` destroys the context: the thread ends when it returns
  } else {
    thread_.join();
  }
}

void CpuContext::Run(const RunRequest& request, Completion done) {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->job = Job{request, std::move(done)};
  }
  mailbox_->arrived.notify_one();
}

void CpuContext::Work(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<const CpuPlan> plan) {
  FlushDenormals();
  std::optional<Executor> executor;
  for (;;) {
    std::optional<Job> job;
    {
      std::unique_lock lock(mailbox->mutex);
      mailbox->arrived.wait(lock, [&] { return mailbox->job || mailbox->closed; });
      if (!mailbox->job) return;
      job = std::exchange(mailbox->job, std::nullopt);
    }
    std::exception_ptr error;
    try {
      if (!executor) executor.emplace(plan);
      executor->Run(job->request);
    } catch (...) {
      error = TranslateException();
    }
    job->done(error);
  }
}

}  // namespace resnet_native::cpu
