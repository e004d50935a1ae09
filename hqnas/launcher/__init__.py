"""The one-machine launcher: `hqnas up` runs the whole service on a machine that has nothing but Python.

Words. A *home* is the folder with everything one installation keeps: data, logs, the local broker. A *launch* is one
run of `hqnas up` on a home; its id stands in the environment of every process it starts. The *launcher* is the process
a person started; *children* are the API, controllers and workers; the *command* is what stands behind `--`. The
*lifeline* is a pipe whose write end only the launcher holds, so that its end of file means "the launcher is gone",
however it went. The *guard* is a process in a session of its own that runs PostgreSQL and cleans up after the
launcher.

    launcher ── holds the lifeline, restarts children, stops all in order
       ├── guard ── PostgreSQL                 (own session; survives a kill of the launcher's process group)
       ├── api, controller-N, worker-N         (own sessions; each watches the lifeline)
       └── command                             (the launcher's process group, so that Ctrl-C reaches it)

Whatever ends the launcher, three independent things end the rest: the children read the end of the lifeline; the
guard ends every process that carries the launch's id and then PostgreSQL; and PostgreSQL gets a signal from the kernel
when its guard dies. The home's lock is held by launcher and guard, so it is free only when all of it is over.
"""
