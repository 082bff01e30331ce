"""What the projects' commands say, where several tests expect it."""

STOPPED = "stopped after step {step}; run the same command to resume"
RESUMES = "resumes after step {step}"
SKIPPED_CHECKPOINT = "skipped last.ckpt, which cannot be read"
ALL_TRUNCATED = "every checkpoint is truncated"
RESTART_HINT = "--restart starts over"
IN_USE = "is in use by another process"
CANNOT_BE_WRITTEN = "cannot be written"
CANNOT_BE_READ = "cannot be read"
OTHER_MODEL = "is of another model"
OTHER_OPTION = "has {option}="
DIVERGED = "training diverged"
NEW_HEAD_HINT = "add --new_head true"
# The exit code of a run that was saved after a signal: EX_TEMPFAIL of sysexits.h.
EXIT_PREEMPTED = 75
# The exit code of `drift` if a managed file differs.
EXIT_DRIFT = 3
