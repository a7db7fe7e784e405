"""Does what `kind` names, and returns 1. What it starts sleeps for `seconds`, by which it is found."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time


def daemonise(seconds):
    """Fork twice, in a session of its own, with nothing of the environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", seconds], {})
        os._exit(0)
    os.wait()


def flee(generations):
    """Fork and end, over and over: no process lives for long."""
    for _ in range(generations):
        if os.fork() != 0:
            os._exit(0)
        os.setsid()
    time.sleep(987)


def run(hyperparams):
    kind, seconds = hyperparams["kind"], str(hyperparams.get("seconds", 987))
    if kind == "child":
        subprocess.Popen(["sleep", seconds])
    elif kind == "daemon":
        daemonise(seconds)
    elif kind == "fleeing":
        if os.fork() == 0:
            flee(100)
    elif kind == "forks-and-returns":
        if os.fork() == 0:
            return 2
        os.wait()
    elif kind == "handlers":
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    elif kind == "closes-stdout":
        sys.stdout.close()
        os.close(1)
        os.close(2)
    elif kind == "closes-everything":
        os.closerange(0, 4096)
    elif kind == "thread":
        threading.Thread(target=time.sleep, args=(987,)).start()
    elif kind == "atexit-hangs":
        atexit.register(time.sleep, 987)
    elif kind == "atexit-exits":
        atexit.register(os._exit, 9)
    elif kind == "atexit":
        atexit.register(print, "goodbye from atexit")
    elif kind == "deletes-folder":
        shutil.rmtree(os.getcwd())
    elif kind == "deletes-scratch":
        shutil.rmtree(os.path.dirname(os.environ["HPO_REPORT_FILE"]))
    elif kind == "chdir":
        os.chdir("/")
    elif kind == "bytes":
        sys.stdout.write("naïve ☃\n")
        sys.stdout.flush()
        os.write(1, b"\0\xff\xfe\n")
    elif kind == "prints":
        line = "x" * 999_999
        for _ in range(hyperparams["megabytes"]):
            print(line)
        print("the end")
    elif kind == "reports":
        with open(os.environ["HPO_REPORT_FILE"], "a") as file:
            for step in range(hyperparams["count"]):
                file.write(json.dumps({"step": step, "value": step / 7}) + "\n")
    elif kind == "ignores-term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", seconds])
        print("waiting")
        time.sleep(987)
    elif kind == "stops-itself":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "all-at-once":
        subprocess.Popen(["sleep", seconds])
        subprocess.Popen(["sleep", seconds], start_new_session=True)
        daemonise(seconds)
        time.sleep(987)
    elif kind == "environment":
        os.environ.clear()
        subprocess.Popen(["/bin/sleep", seconds], env={}, start_new_session=True)
    return 1
